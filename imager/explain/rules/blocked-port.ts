/** Requests that nothing comes back for: a port that is blocked on the way. */
import { lastTransfer, type Rule, serverWords, times, toldWords, where } from '../finding.ts';

export const blockedPort: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.end === 'unanswered') {
    const tftp = last.protocol === 'tftp';
    const port = `${tftp ? 'UDP' : 'TCP'} port ${last.port}`;
    const what =
      tftp || last.file !== '' ? `request${last.requests === 1 ? '' : 's'} for ${last.file}` : 'connection';
    return {
      cause: `blocked port: ${serverWords(last)} answers nothing on ${port}`,
      evidence: [
        ...toldWords(story),
        `${times(last.requests, 'time')} without an answer: ${what}, from ${where(story, last)} to +${((last.lastAt - story.startedAt) / 1000).toFixed(2)} s`,
      ],
      advice: [
        `look for a firewall between the node and ${last.server} that drops ${port}${tftp ? ' (and the answers, which come from another port)' : ''}`,
        `is a server running there? On ${last.server}: ss -ln${tftp ? 'u' : 't'} sport = :${last.port}`,
      ],
    };
  }
  return neverHeard(story);
};

/** The imager has told the node a file of its own and hears no request: from here the port looks blocked. */
function neverHeard(story: Parameters<Rule>[0]): ReturnType<Rule> {
  const { file, nextServer } = story.told;
  if (story.source !== 'journal' || file === undefined || !story.hasAddress || story.transfers.length > 0)
    return undefined;
  if (nextServer !== story.imager || story.agent.length + story.disk.length > 0) return undefined;
  const port = /^https?:/.test(file) ? (/^https?:\/\/[^/:]*:(\d+)/.exec(file)?.[1] ?? '80') : '69';
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
