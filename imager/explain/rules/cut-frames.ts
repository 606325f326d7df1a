/** A capture that kept the beginnings of packets alone: what they said is not known, and no other cause is. */
import { type Rule, where } from '../finding.ts';

export const cutFrames: Rule = (story) => {
  const cut = story.boot.find((each) => each.kind === 'cut');
  if (cut === undefined) return undefined;
  return {
    cause: `packets are cut at ${cut.kept} bytes: capture again with -s 0`,
    evidence: [`${where(story, cut)} had ${cut.length} bytes behind its headers, and not all were kept`],
    advice: ["on the node's link, while it boots: tcpdump -s 0 -w boot.pcap"],
  };
};
