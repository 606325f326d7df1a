/** The server's machine or port says, by ARP's silence, ICMP or a reset, that nobody is there. */
import { endWords, isIn, lastTransfer, type Rule, serverWords, times, toldWords, where } from '../finding.ts';
import type { Unreachable } from '../observation.ts';

/** Codes of ICMP type 3 (RFC 792, RFC 1812 section 5.2.7.1). */
const CODES: Record<number, string> = {
  0: 'network unreachable',
  1: 'host unreachable',
  2: 'protocol unreachable',
  3: 'port unreachable',
  9: 'network prohibited by a filter',
  10: 'host prohibited by a filter',
  13: 'prohibited by a filter',
};

export const unreachable: Rule = (story) => {
  const last = lastTransfer(story);
  if (last !== undefined && last.end !== 'unanswered') return undefined;
  const server = last?.server ?? story.told.nextServer;
  if (server === undefined) return undefined;
  const icmp = story.unreachable.findLast(({ to }) => to === server);
  if (icmp !== undefined) return byIcmp(story, icmp);
  if (last?.reset === true)
    return {
      cause: `nothing listens on TCP port ${last.port} of ${server}: it resets the connection`,
      evidence: [...toldWords(story), `connection refused: ${where(story, last)}`],
      advice: [`start the HTTP server on ${server}, or correct the port in the boot file's URL`],
    };
  const { subnet, router } = story.told;
  const nearby = subnet === undefined || isIn(subnet, server);
  const silent = story.questions.find(
    ({ target, answered }) => !answered && target === (nearby ? server : router),
  );
  // Who asks again has waited for an answer.
  if (silent?.requests === 1 && endWords(story, silent) !== '') return undefined;
  if (silent === undefined) return undefined;
  const what = nearby
    ? last === undefined
      ? `boot server ${server}`
      : serverWords(last)
    : `router ${router}`;
  return {
    cause: nearby
      ? `${what} is not there: nobody answers for its address on the node's link (ARP)`
      : `${what}, the way to ${server}, is not there: nobody answers for its address on the node's link (ARP)`,
    evidence: [
      ...toldWords(story),
      `${times(silent.requests, 'ARP request')} for ${silent.target} without an answer: ${where(story, silent)}`,
    ],
    advice: ['is the machine on, with this address, in the same network segment (VLAN)?'],
  };
};

function byIcmp(
  story: Parameters<Rule>[0],
  { by, code, to, port, protocol, ...seen }: Unreachable,
): ReturnType<Rule> {
  const words = CODES[code] ?? `unreachable, code ${code}`;
  const target = code === 3 ? `${protocol.toUpperCase()} port ${port} of ${to}` : to;
  return {
    cause:
      code === 3
        ? `nothing listens on ${target}: it answers "port unreachable" (ICMP)`
        : `${to} cannot be reached: ${by} says "${words}" (ICMP)`,
    evidence: [...toldWords(story), `ICMP ${words} from ${by}: ${where(story, seen)}`],
    advice: [
      code === 3
        ? `start the server on ${to}, or have it listen on this address; a firewall that rejects looks the same`
        : `look at ${by}: its routes or its filter keep the packets from ${to}`,
    ],
  };
}
