/** The two sides of a TFTP transfer do not agree on its options (RFC 2347). */
import { lastTransfer, type Rule, serverWords, where } from '../finding.ts';

const OPTION_NEGOTIATION = 8;

export const optionsRefused: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.protocol !== 'tftp' || last.code !== OPTION_NEGOTIATION) return undefined;
  const byClient = last.end === 'declined';
  return {
    cause: byClient
      ? `option negotiation refused: the node does not take the options that ${serverWords(last)} answers for ${last.file}`
      : `option negotiation refused: ${serverWords(last)} does not take the options the node asks for with ${last.file}`,
    evidence: [`TFTP error 8${last.reason ? `, "${last.reason}"` : ''}: ${where(story, last)}`],
    advice: [
      'compare the options of the request with those of the answer (blksize, windowsize, tsize); one side breaks RFC 2347',
    ],
  };
};
