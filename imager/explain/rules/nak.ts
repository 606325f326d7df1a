/** A DHCP server refuses the address the client asks for. */
import { type Rule, times, where } from '../finding.ts';

export const nak: Rule = (story) => {
  const naks = story.answers.filter(({ type }) => type === 'nak');
  const last = naks.at(-1);
  if (last === undefined) return undefined;
  const good = story.answers.findLast(({ type }) => type === 'ack');
  if (good !== undefined && good.at > last.at) return undefined;
  const ask = story.asks.findLast(({ type, at }) => type === 'request' && at <= last.at);
  const address = ask?.address ?? last.address;
  return {
    cause: `DHCP server ${last.server} refuses the address${address === undefined ? '' : ` ${address}`}: ${last.reason ?? 'it does not say why'}`,
    evidence: [`${times(naks.length, 'NAK')}, the last ${where(story, last)}`],
    advice: [
      'the client should begin anew with a DISCOVER; one that repeats its request keeps an old lease: clear it, or power the node off and on',
      'with two DHCP servers on the wire each refuses what the other gave',
    ],
  };
};
