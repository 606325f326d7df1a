/** The firmware shows the menu it was sent, and nothing on it has been asked for. */
import { type Rule, times, where } from '../finding.ts';
import { isSystem } from '../story.ts';

export const atMenu: Rule = (story) => {
  const { menu, by } = story.told;
  if (menu === undefined || by === undefined || !story.hasAddress) return undefined;
  if (story.agent.length + story.disk.length > 0) return undefined;
  const shows = `its boot menu of ${times(menu, 'item')}`;
  const shown = `${by.server} sent it the menu: ${where(story, by)}`;
  const system = story.boot.find((each) => each.kind === 'ask' && each.at > by.at && isSystem(each));
  if (system !== undefined)
    return {
      cause: `it showed ${shows} and boots its own disk: the system on that asks for an address since`,
      evidence: [shown, `DHCP of a running system, no boot firmware: ${where(story, system)}`],
      advice: [
        'to boot it by the network, pick another item on its console, or have boot.menu begin with one',
      ],
    };
  return {
    cause: `it shows ${shows} and waits for a choice, or boots its own disk`,
    evidence: [shown, 'nothing on it was asked for, and no file'],
    advice: [
      'pick an item on its console; boot.menu.seconds in the configuration has it take the first one by itself',
      `where one was picked, its request did not come: firmware asks for it at UDP port 4011 of ${by.server}, which may be blocked`,
    ],
  };
};
