/** It was switched on, and nothing of it has come yet. */
import { type Rule, where } from '../finding.ts';

export const notHeard: Rule = (story) => {
  const { boot, endAt } = story;
  const on = boot.findLast((each) => each.kind === 'power' && each.action !== 'off');
  if (on === undefined || boot.some(({ kind }) => kind !== 'power')) return undefined;
  return {
    cause: `nothing was heard of it since it was switched on ${((endAt - on.at) / 1000).toFixed(0)} s ago`,
    evidence: [`switched on by the imager: ${where(story, on)}`],
    advice: [
      'servers test themselves for minutes before their first packet: its console shows whether it does',
      'then: is network boot on and first in its firmware, the cable in, the port in the right VLAN, its MAC the one of the configuration?',
    ],
  };
};
