/** More than one DHCP server gives addresses on the wire. */
import { lastTransfer, type Rule, where } from '../finding.ts';
import type { Answer } from '../observation.ts';
import type { Story } from '../story.ts';

export const secondServer: Rule = (story) => {
  if (story.source === 'journal') return takenElsewhere(story);
  const offers = story.boot.filter(
    (each): each is Answer => each.kind === 'answer' && each.type !== 'nak' && each.address !== undefined,
  );
  const servers = [...new Set(offers.map(({ server }) => server))];
  if (servers.length < 2) return undefined;
  // What was loaded from the one it took shows that this one is good: then look further.
  if (lastTransfer(story)?.end === 'done') return undefined;
  const { chosen } = story;
  return {
    cause: `second DHCP server on the wire: ${servers.join(' and ')} both give addresses${chosen === undefined ? '' : `, and the node took ${chosen}'s`}`,
    evidence: servers.map((server) => {
      const first = offers.find((each) => each.server === server)!;
      const file = offers.find((each) => each.server === server && each.file !== undefined)?.file;
      return `${server} offered ${first.address}, ${file === undefined ? 'no boot file' : `boot file ${file}`}: ${where(story, first)}`;
    }),
    advice: advice(servers),
  };
};

/** The imager hears the node take another server's offer: broadcast, and naming the server where it did. */
function takenElsewhere(story: Story): ReturnType<Rule> {
  const taken = story.asks.findLast(
    ({ unanswered, type }) => type === 'request' && unanswered === 'other-server',
  );
  // An ACK is a boot server's word, and the address in it is what the other server gave.
  const offer = story.answers.find(({ type, address }) => type === 'offer' && address !== undefined);
  if (taken === undefined || offer === undefined || lastTransfer(story)?.end === 'done') return undefined;
  const other = taken.server ?? 'another server';
  return {
    cause: `second DHCP server on the wire: ${offer.server} and ${other} both give addresses, and the node took ${taken.server === undefined ? "the other's" : `${other}'s`}`,
    evidence: [
      `${offer.server} offered ${offer.address}, ${offer.file === undefined ? 'no boot file' : `boot file ${offer.file}`}: ${where(story, offer)}`,
      `the node asked ${other} for ${taken.address ?? 'its address'}: ${where(story, taken)}`,
    ],
    advice: advice([offer.server, other]),
  };
}

function advice(servers: readonly string[]): string[] {
  return [
    `one DHCP server a network: find out which of ${servers.join(', ')} does not belong there and stop it (home routers, virtualisation hosts and installers bring one)`,
    "where the other one must stay: dhcp.mode: proxy in the imager's configuration leaves it the addresses",
  ];
}
