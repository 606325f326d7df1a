/** The client was told a boot file, and nobody was seen to be asked for it. */
import { askedWords, CAPTURE_ON, endWords, programWords, type Rule, toldWords } from '../finding.ts';

export const fileNotAsked: Rule = (story) => {
  const { file, nextServer, by } = story.told;
  if (file === undefined || by === undefined || !story.hasAddress || story.transfers.length > 0)
    return undefined;
  const evidence = [...askedWords(story), ...toldWords(story)];
  // The imager hears what is asked of itself alone; silence there is a blocked port.
  if (story.source === 'journal')
    return {
      cause: `${programWords(story)} was told to load ${file} from ${nextServer}, and nothing was heard of it since: what is asked of ${nextServer} cannot be seen from here`,
      evidence,
      advice: [
        `is ${nextServer} on, does it serve ${file}, and does the way there work? Its log says whether the node asked`,
        "a capture on the node's link tells (tcpdump -w boot.pcap, then imager pxe explain boot.pcap)",
      ],
    };
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
