/** Offers came, and the client asked for none of them. */
import { CAPTURE_ON, endWords, programWords, type Rule, times, where } from '../finding.ts';
import type { Story } from '../story.ts';

export const offerNotTaken: Rule = (story) => {
  const { asks, answers } = story;
  const first = answers.find(({ type }) => type === 'offer');
  if (first === undefined || answers.some(({ type }) => type === 'ack')) return undefined;
  if (asks.some(({ type, at }) => type === 'request' && at >= first.at)) return undefined;
  const why = unacceptable(story);
  const servers = [...new Set(answers.map(({ server }) => server))].join(', ');
  const discovers = asks.filter(({ type }) => type === 'discover').length;
  const ends = endWords(story, answers.at(-1)!);
  // Clients collect offers for seconds; who asks again has taken none of those before.
  const open = ends !== '' && discovers <= 1;
  const took = `${programWords(story)} took no offer of ${servers}`;
  return {
    cause: open
      ? `offered and not requested yet: ${took}${ends}`
      : `offered but never requested: ${took}${why === undefined ? '' : `: ${why}`}`,
    evidence: [
      `${times(discovers, 'DISCOVER')}, ${times(answers.length, 'OFFER')}, the first ${where(story, first)}`,
      ...answers
        .slice(0, 4)
        .map(
          ({ server, address, file }) =>
            `${server} offered ${address ?? 'no address'}, ${file === undefined ? 'no boot file' : `boot file ${file}`}`,
        ),
    ],
    advice: [
      ...(open ? [CAPTURE_ON] : []),
      why === undefined
        ? 'either the offer does not reach the node (a switch port that is not forwarding yet, a firewall), or its firmware waits for an offer with what it needs'
        : 'have the DHCP server send what this firmware needs, or leave the client to a boot server beside it (dhcp.mode: proxy)',
    ],
  };
};

/** What the firmware waits for and no offer has. */
function unacceptable({ source, answers, program, architecture, isLoader }: Story): string | undefined {
  const { vendorClass = '' } = program;
  const files = answers.filter(({ file }) => file !== undefined);
  const hasMenu = answers.some(({ menu }) => menu !== undefined);
  if (vendorClass.startsWith('HTTPClient') || architecture?.http === true) {
    if (!files.some(({ file }) => /^https?:\/\//.test(file!)))
      return 'HTTP boot takes an offer with a URL alone (option 67)';
    // The journal does not have the class of answers: the imager sends it with each URL (dhcp/options/pxe.ts).
    if (
      source === 'capture' &&
      !answers.some(({ vendorClass: own }) => own?.startsWith('HTTPClient') === true)
    )
      return 'HTTP boot takes an offer with option 60 "HTTPClient" alone';
    return undefined;
  }
  if (vendorClass.startsWith('PXEClient') && !isLoader && files.length === 0 && !hasMenu)
    return 'PXE firmware takes no offer without a boot file';
  return undefined;
}
