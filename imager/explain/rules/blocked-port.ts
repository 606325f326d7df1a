/** Requests that nothing comes back for: a port that is blocked on the way, or a server that has fallen silent. */
import {
  CAPTURE_ON,
  endWords,
  fileWords,
  lastTransfer,
  type Rule,
  serverWords,
  times,
  toldWords,
  where,
} from '../finding.ts';
import type { Transfer } from '../observation.ts';
import type { Story } from '../story.ts';

export const blockedPort: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.end !== 'unanswered') return neverHeard(story);
  const before = story.boot.findLast(
    (each): each is Transfer => each.kind === 'transfer' && hasAnswered(each, last),
  );
  const what = fileWords(last);
  const evidence = [
    ...toldWords(story),
    `${times(last.requests, 'request')} for ${what} without an answer, from ${where(story, last)} to +${((last.lastAt - story.startedAt) / 1000).toFixed(2)} s`,
  ];
  const ends = endWords(story, last);
  // Who asks again has waited for an answer; where that port has answered before, the next one may come yet.
  if (ends !== '' && (last.requests === 1 || before !== undefined))
    return {
      cause: `${serverWords(last)} has not answered the request for ${what}${ends}`,
      evidence,
      advice: [CAPTURE_ON],
    };
  if (before !== undefined)
    return {
      cause:
        before === last
          ? `${serverWords(last)} took the connection, and nothing came back for ${what}`
          : `${serverWords(last)} answers no more: nothing came back for ${what}, and it had answered before in this boot`,
      evidence: [...evidence, `it had answered: ${where(story, before)}`],
      advice: [
        'the log of that server says what became of the request; one that has too many at once may keep silent',
        `is it running still, and is the way to it? From the node's link: ping ${last.server}`,
      ],
    };
  const udp = last.protocol === 'tftp';
  const port = `${udp ? 'UDP' : 'TCP'} port ${last.port}`;
  return {
    cause: `blocked port: ${serverWords(last)} answers nothing on ${port}`,
    evidence,
    advice: [
      `look for a firewall between the node and ${last.server} that drops ${port}${udp ? ' (and the answers, which come from another port)' : ''}`,
      `is a server running there? On ${last.server}: ss -ln${udp ? 'u' : 't'} sport = :${last.port}`,
    ],
  };
};

/** True where something came back from the port that `last` was asked of. */
function hasAnswered({ protocol, server, port, end, connected }: Transfer, last: Transfer): boolean {
  if (protocol !== last.protocol || server !== last.server || port !== last.port) return false;
  return end !== 'unanswered' || connected === true;
}

/** The imager has told the node a file of its own and hears no request: from here the port looks blocked. */
function neverHeard(story: Story): ReturnType<Rule> {
  const { file, nextServer } = story.told;
  if (story.source !== 'journal' || file === undefined || !story.hasAddress || story.transfers.length > 0)
    return undefined;
  if (nextServer !== story.imager || story.agent.length + story.disk.length > 0) return undefined;
  const [, scheme, named] = /^(https?):\/\/[^/:]*(?::(\d+))?/.exec(file) ?? [];
  const port = scheme === undefined ? '69' : (named ?? (scheme === 'https' ? '443' : '80'));
  const protocol = port === '69' ? 'UDP' : 'TCP';
  return {
    cause: `blocked port: the node was told to load ${file}, and no request for it reached ${protocol} port ${port} of ${nextServer}`,
    evidence: toldWords(story),
    advice: [
      `look for a firewall that drops ${protocol} port ${port} on ${nextServer} or on the way to it`,
      "or the firmware does not take the file: a capture on the node's link tells (tcpdump -w boot.pcap, then imager pxe explain boot.pcap)",
    ],
  };
}
