/** The kernel runs and the agent has spoken, but the node did not come to ready. */
import { type Finding, type Rule, where } from '../finding.ts';
import type { NodeWord } from '../observation.ts';
import type { Story } from '../story.ts';

export const agentStopped: Rule = (story) => {
  const words = [...story.agent, ...story.disk].sort((a, b) => a.at - b.at);
  const last = words.at(-1);
  if (last === undefined || story.source === 'capture') return undefined;
  const failed = words.findLast(({ step }) => ['failed', 'retry', 'fall-back'].includes(step));
  if (failed !== undefined) return gaveUp(story, failed);
  const refused = words.findLast(({ step, reason }) => step === 'refused' && reason !== undefined);
  return refused === undefined ? silent(story, last) : refusal(story, refused);
};

function gaveUp(story: Story, failed: NodeWord): Finding {
  const { why = 'it did not say why' } = failed.detail;
  const said = `"imager node output ${story.who}" has what its scripts said`;
  return {
    cause: `the agent gave up: ${why}`,
    evidence: [heard(story, failed)],
    advice: [
      'the node stays up for investigation: its console shows the same, and what led to it',
      ...(String(why).startsWith('script ') ? [said] : []),
    ],
  };
}

function refusal(story: Story, refused: NodeWord): Finding {
  const why = refused.detail.why ?? (refused.reason ?? '').replaceAll('-', ' ');
  const what =
    refused.kind === 'disk'
      ? `the disk ${refused.detail.export ?? ''}`.trim()
      : 'the connection of its agent';
  return {
    cause: `the imager refused ${what}: ${why}`,
    evidence: [heard(story, refused)],
    advice: [
      `"imager node show ${story.who}" says which disks its boot pointer names and who the node says it is`,
    ],
  };
}

function silent(story: Story, last: NodeWord): Finding {
  if (last.step === 'reboot')
    return {
      cause: 'the agent restarted the node on purpose, and nothing was heard of it since',
      evidence: [heard(story, last)],
      advice: [
        `see on its console whether the firmware starts again; some need a power cycle: imager node power ${story.who} cycle`,
      ],
    };
  return {
    cause: `the node stopped on its way to ready: its last word was "${last.step}", ${((story.endAt - last.at) / 1000).toFixed(0)} s ago`,
    evidence: [heard(story, last)],
    advice: [
      `its console says what it waits for; "imager node show ${story.who}" has the steps of its last boots`,
    ],
  };
}

function heard(story: Story, word: NodeWord): string {
  const detail = Object.entries(word.detail).map(([name, value]) => `${name}=${value}`);
  return [`${word.kind} ${word.step}`, ...detail, `at ${where(story, word)}`].join(' ');
}
