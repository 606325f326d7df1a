/** Nobody but a running system asks for an address: what that booted from was asked of nobody here. */
import { type Rule, where } from '../finding.ts';
import { isSystem } from '../story.ts';

export const runningSystem: Rule = (story) => {
  const asks = story.boot.filter((each) => each.kind === 'ask');
  const last = story.answers.at(-1);
  if (last?.type !== 'ack' || story.transfers.length + story.agent.length + story.disk.length > 0)
    return undefined;
  const [system] = asks.filter(isSystem);
  if (system === undefined || !asks.every((each) => isSystem(each) || each.asked.length === 0))
    return undefined;
  const name = system.options.vendorClass;
  return {
    cause: `a running system${name === undefined ? '' : ` (${name})`} asks for its address, and no boot firmware: it booted from its own disk`,
    evidence: [`it asked for options ${system.asked.join(', ')}, none of booting: ${where(story, system)}`],
    advice: [
      'to boot by the network, start it again with network boot first in its firmware, or picked on its console',
    ],
  };
};
