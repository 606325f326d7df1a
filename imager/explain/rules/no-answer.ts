/** Nobody answers the client's DHCP messages. */
import { CAPTURE_ON, endWords, type Finding, programWords, type Rule, times, where } from '../finding.ts';
import type { Answer, Ask } from '../observation.ts';
import type { Story } from '../story.ts';

/** The imager's reasons for silence. */
const REASONS: Record<string, string> = {
  'unknown-client': 'the configuration has no such node and there is no pool of addresses',
  'pool-exhausted': 'all addresses of the pool are taken',
  'wrong-network': 'the address it asks for is not of the network it asks from',
  'leased-to-other': 'its reserved address is still leased to another client',
  'offered-to-other': 'its reserved address is being offered to another client',
  'address-in-use': 'its reserved address is in use by somebody else',
  'address-declined': 'its reserved address was declined: somebody else uses it',
  'other-network': 'its relay agent is of a network the configuration does not have',
  'other-server': 'it speaks to another DHCP server',
  bootp: 'it asks by BOOTP, which a proxy does not answer',
  'bootp-unreserved': 'it asks by BOOTP, which is answered for nodes with a reserved address alone',
  'reserved-elsewhere': 'its reserved address is of another network than the one it asks from',
  'address-answers': 'somebody answers at the addresses of the pool it could have had',
  probing: 'the address meant for it is still being asked after',
  'registry-failed': 'the lease could not be stored',
  'send-failed': 'the answer could not be sent',
  'no-boot-firmware':
    "it does not say that it is boot firmware, and the addresses are another server's to give",
  'proxy-only': 'it asks this imager for an address, and dhcp.mode is proxy',
  'no-boot-file': 'there is no boot file for it',
  'no-boot-item': 'its boot menu has no such item as it asks for',
};

/** Why the imager does not answer, in words. */
export function silenceWords({ unanswered = '', item, why }: Ask): string {
  const words = REASONS[unanswered] ?? unanswered.replaceAll('-', ' ');
  const about = [...(item === undefined ? [] : [`item ${item}`]), ...(why === undefined ? [] : [why])];
  return about.length === 0 ? words : `${words} (${about.join(': ')})`;
}

export const noAnswer: Rule = (story) => {
  const { asks, answers, who } = story;
  const last = asks.at(-1);
  if (last === undefined) return undefined;
  if (answers.length > 0) return noAck(story, last);
  const silent = unansweredOf(asks);
  const evidence = [
    `${times(asks.length, 'message')} of ${programWords(story)} without an answer, from ${where(story, asks[0]!)} to ${where(story, last)}`,
  ];
  if (story.source === 'journal')
    return {
      cause: `the imager does not answer ${who}: ${silent === undefined ? 'it was not asked to' : silenceWords(silent)}`,
      evidence,
      advice: [silenceAdvice(silent?.unanswered)],
    };
  const ends = endWords(story, last);
  // Who asks again has waited for an answer.
  if (ends !== '' && asks.length === 1)
    return { cause: `nobody has answered ${who}, which asked once${ends}`, evidence, advice: [CAPTURE_ON] };
  return {
    cause: `no DHCP answer at all: ${who} asked ${times(asks.length, 'time')} and nobody offered an address`,
    evidence,
    advice: [
      'is a DHCP server running in this network segment (VLAN), or a relay agent that leads to one?',
      'a server that does not know the client stays silent: its log tells; a firewall may drop UDP ports 67 and 68',
    ],
  };
};

/** The last one that was passed over; beside a server that gives the addresses each request is another's, so that last. */
function unansweredOf(asks: readonly Ask[]): Ask | undefined {
  const passed = asks.filter(({ unanswered }) => unanswered !== undefined);
  return passed.findLast(({ unanswered }) => unanswered !== 'other-server') ?? passed.at(-1);
}

function silenceAdvice(reason: string | undefined): string {
  switch (reason) {
    case 'no-boot-file':
      return 'tell it what to boot: boot.image or boot.files in the configuration, or a boot pointer of its own';
    case 'other-server':
      return 'where another server is to give the addresses (dhcp.mode: proxy) that is as it should be: start the node again by network boot';
    default:
      return 'check its entry under nodes, and network.pool, in the configuration';
  }
}

function noAck(story: Story, last: Ask): ReturnType<Rule> {
  if (story.hasAddress || last.type !== 'request') return undefined;
  const server = last.server ?? story.answers[0]!.server;
  const requests = story.asks.filter(({ type }) => type === 'request').length;
  const offers = story.answers.filter((each) => each.server === server);
  const address = offers.find((each) => each.address !== undefined)?.address;
  if (address === undefined && offers.length > 0) return askedOfProxy(story, offers[0]!, requests);
  const offered = `DHCP server ${server} offered ${address ?? 'an address'}`;
  const evidence = [`${times(requests, 'REQUEST')}, the last ${where(story, last)}`];
  const ends = endWords(story, last);
  if (ends !== '' && requests === 1)
    return {
      cause: `${offered} and has not answered the request for it${ends}`,
      evidence,
      advice: [CAPTURE_ON],
    };
  return {
    cause: `${offered} and does not answer the request for it`,
    evidence,
    advice: [`the log of ${server} tells why; where it stores its leases there may be no room`],
  };
}

/** Clients that do not know ProxyDHCP take its OFFER for one with an address (PXE specification 2.1, section 2.2.3). */
function askedOfProxy(story: Story, offer: Answer, requests: number): Finding {
  const { server } = offer;
  return {
    cause: `${programWords(story)} asks ${server} for an address, which offered none: it is a boot server beside the DHCP server (ProxyDHCP), and the client took its offer for an ordinary one`,
    evidence: [
      `OFFER of ${server} without an address: ${where(story, offer)}`,
      `${times(requests, 'REQUEST')}, the last ${where(story, story.asks.at(-1)!)}`,
    ],
    advice: [
      'is the DHCP server that gives the addresses running, and did it offer this client one? Its log tells',
      'a client that cannot tell the two apart boots where one server does both (dhcp.mode: server in the configuration of the imager, and no other server)',
    ],
  };
}
