/** The server answered with an error other than a missing file, or had no place for the transfer. */
import { lastTransfer, type Rule, serverWords, times, where } from '../finding.ts';

export const serverRefuses: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.end === 'waiting')
    return {
      cause: `${serverWords(last)} had no place yet for ${last.file} (${last.reason}), and the node has not asked again since`,
      evidence: [`${times(last.requests, 'request')} not answered, the first ${where(story, last)}`],
      advice: [
        'start fewer nodes at once, or start this one again: a place is free as soon as a transfer has ended',
      ],
    };
  if (last?.end !== 'refused') return undefined;
  const status = last.protocol === 'http' ? `HTTP status ${last.code}` : `TFTP error ${last.code ?? 0}`;
  const moved = last.protocol === 'http' && last.code !== undefined && last.code < 400;
  return {
    cause: `${serverWords(last)} refuses ${last.file}: ${status}${last.reason ? ` "${last.reason}"` : ''}`,
    evidence: [`asked: ${where(story, last)}`],
    advice: [
      ...story.problems.map((problem) => `the imager says: ${problem}`),
      moved
        ? 'boot firmware follows no redirects: name the place the file is at'
        : 'the log of that server says why; permissions and limits are the usual reasons',
    ],
  };
};
