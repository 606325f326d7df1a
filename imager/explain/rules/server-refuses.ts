/** The server answered with an error other than a missing file. */
import { lastTransfer, type Rule, serverWords, where } from '../finding.ts';

export const serverRefuses: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.end !== 'refused') return undefined;
  const status = last.protocol === 'http' ? `HTTP status ${last.code}` : `TFTP error ${last.code ?? 0}`;
  const moved = last.protocol === 'http' && last.code !== undefined && last.code < 400;
  return {
    cause: `${serverWords(last)} refuses ${last.file}: ${status}${last.reason ? ` "${last.reason}"` : ''}`,
    evidence: [`asked: ${where(story, last)}`],
    advice: [
      moved
        ? 'boot firmware follows no redirects: name the place the file is at'
        : 'the log of that server says why; permissions and limits are the usual reasons',
    ],
  };
};
