/** The client was told a boot file and asked nobody for it. */
import { askedWords, CAPTURE_ON, endWords, programWords, type Rule, toldWords } from '../finding.ts';

export const fileNotAsked: Rule = (story) => {
  const { file, by } = story.told;
  if (file === undefined || by === undefined || !story.hasAddress || story.transfers.length > 0)
    return undefined;
  const evidence = [...askedWords(story), ...toldWords(story)];
  const last = story.boot.findLast(
    (each) => each.kind === 'arp' || (each.kind === 'answer' && each.type === 'ack'),
  );
  const ends = endWords(story, last ?? by);
  if (ends !== '')
    return {
      cause: `${programWords(story)} was told to load ${file} and has not asked for it yet${ends}`,
      evidence,
      advice: [CAPTURE_ON],
    };
  return {
    cause: `${programWords(story)} was told to load ${file} and asked nobody for it`,
    evidence,
    advice: [
      'the firmware does not take what it was told (file type, URL where it wants a path): its console may say',
      'or its requests take another way than past the place of this capture',
    ],
  };
};
