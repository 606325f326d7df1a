/** An item of the firmware's menu was asked for, and no boot server answered. */
import { type Rule, where } from '../finding.ts';
import { isAnswered } from '../story.ts';
import { silenceWords } from './no-answer.ts';

export const bootItem: Rule = (story) => {
  const ask = story.asks.findLast(({ item }) => item !== undefined);
  if (ask === undefined || isAnswered(ask, story.boot)) return undefined;
  const asked = `it asked for item ${ask.item}: ${where(story, ask)}`;
  const { unanswered } = ask;
  if (unanswered !== undefined)
    return {
      cause: `the imager does not answer ${story.who}: ${silenceWords(ask)}`,
      evidence: [asked],
      advice: [
        unanswered === 'no-boot-item'
          ? 'start it again: it shows a menu from before boot.menu was changed, or that of another server'
          : 'check the items of boot.menu, boot.image and boot.files in the configuration',
      ],
    };
  return {
    cause: `no answer about its boot menu: the node asked for item ${ask.item} and no boot server answered`,
    evidence: [asked],
    advice: [
      'look for a firewall that drops UDP port 4011 between the node and its boot server',
      'a boot server that does not have the item stays silent: its log tells',
    ],
  };
};
