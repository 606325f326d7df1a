/** All well. */
import { fallbackOfDetail, fallbackWords } from '../../model/fallback.ts';
import type { Rule } from '../finding.ts';
import { where } from '../finding.ts';

export const ready: Rule = (story) => {
  const done = story.agent.find(({ step }) => step === 'ready');
  const fallback = story.agent.find(({ step }) => step === 'fallback');
  if (done !== undefined && fallback !== undefined)
    return {
      cause: `ready with ${fallbackWords(fallbackOfDetail(fallback.detail))}`,
      evidence: [
        `no attempts were left: ${where(story, fallback)}`,
        `the agent reported ready: ${where(story, done)}`,
      ],
      advice: [
        `see the boots before this one: imager node boots ${story.who} --last 10`,
        `mend the image, then flash the node with it again: imager node flash ${story.who} --image ...`,
      ],
    };
  if (done !== undefined)
    return {
      cause: `all well: ready ${((done.at - story.startedAt) / 1000).toFixed(1)} s after its first packet`,
      evidence: [`the agent reported ready: ${where(story, done)}`],
      advice: [],
    };
  const attached = story.source === 'capture' ? story.disk.at(-1) : undefined;
  if (attached === undefined) return undefined;
  return {
    cause: 'all well as far as the capture goes: the kernel runs, and the node is connected to its disk',
    evidence: [`connection to an NBD server: ${where(story, attached)}`],
    advice: [],
  };
};
