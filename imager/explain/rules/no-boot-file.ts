/** The client has an address and was told nothing to load. */
import { askedWords, endWords, fileWords, programWords, type Rule, where } from '../finding.ts';

export const noBootFile: Rule = (story) => {
  const ack = story.answers.findLast(({ type }) => type === 'ack');
  if (ack === undefined || story.told.file !== undefined) return undefined;
  if (story.agent.length + story.disk.length > 0) return undefined;
  const why = story.answers.findLast(({ noFile }) => noFile !== undefined)?.noFile;
  // What was fetched all the same went to no firmware; a loader fetches what its own script says.
  if (story.transfers.length > 0 && (why === undefined || story.isLoader)) return undefined;
  return {
    cause: `no boot file: ${ack.server} gave ${programWords(story)} the address ${ack.address ?? ''} and nothing to load${why === undefined ? '' : `: ${why}`}${endWords(story, ack)}`,
    evidence: [
      ...askedWords(story),
      `ACK without a boot file: ${where(story, ack)}`,
      ...story.transfers
        .slice(-4)
        .map((each) => `${fileWords(each)} was asked for all the same: ${where(story, each)}`),
    ],
    advice: [
      'the imager tells nodes of its configuration what to boot (boot.image, boot.files); other servers need a boot file (option 67) and its server (next-server, option 66)',
    ],
  };
};
