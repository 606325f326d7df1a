/** What a scenario may not ask of the simulated rig: everything that only real wires, kernels and firmware have. */
import type { ConfigPath } from '../../../imager/model/fault.ts';
import type { PacketKind } from '../../rig/scenario/event.ts';
import { patternsOf } from '../../rig/scenario/patterns.ts';
import type { Refusal } from '../../rig/scenario/rig.ts';
import type { Scenario } from '../../rig/scenario/scenario.ts';
import { scriptActs } from './shell.ts';

/** Whole messages and streams are simulated; what these are is not. */
const NO_PACKETS: Readonly<Partial<Record<PacketKind, string>>> = {
  arp: 'no ARP',
  'tftp-data': 'no blocks of files, only whole files',
  'tftp-ack': 'no blocks of files, only whole files',
  'dhcp-nak': 'no DHCP but for addresses that are free',
  http: 'no HTTP but for what a node verifies: images and disks come without',
  nbd: 'no packets of NBD: a disk is there or it is not',
};
const NO_TRAFFIC: Readonly<Record<string, string>> = { arp: NO_PACKETS.arp!, http: NO_PACKETS.http! };

/** Everything in `scenario` that the simulated rig cannot do, each with its place. */
export function refusalsOf(scenario: Scenario): Refusal[] {
  const refuse = (path: ConfigPath, has: string): Refusal => ({ path, why: `the simulated rig has ${has}` });
  const reserved = new Set(
    scenario.imager.config.nodes.flatMap(({ name, address }) => (address === undefined ? [] : [name])),
  );
  const nodes = scenario.nodes.flatMap(({ name, firmware }, i) => [
    ...(firmware === undefined
      ? []
      : [refuse(['nodes', i, 'firmware'], `no ${firmware}, only what its rig has without it`)]),
    ...(reserved.has(name)
      ? []
      : [
          refuse(
            ['nodes', i, 'name'],
            `no pools of addresses, and the imager's configuration reserves none for ${name}`,
          ),
        ]),
  ]);
  const sayable = sayableLines(scenario);
  const patterns = patternsOf(scenario).flatMap(({ path, what }) => {
    if (what.kind === 'packet') {
      const why = NO_PACKETS[what.packet];
      return why === undefined ? [] : [refuse([...path, 'packet'], why)];
    }
    if (what.kind === 'line' && !sayable(what.line))
      return [
        refuse(
          [...path, 'line'],
          'no console of a kernel or its programs, only the lines "bootwright: ..." and what scripts say',
        ),
      ];
    if (what.kind === 'step' && what.component === 'http')
      return [refuse([...path, 'component'], NO_PACKETS.http!)];
    return [];
  });
  const actions = scenario.script.flatMap((item) =>
    item.actions.flatMap(({ path, action }) => {
      const why =
        action.kind === 'network' && action.network !== 'heal' ? NO_TRAFFIC[action.traffic] : undefined;
      return why === undefined ? [] : [refuse([...path, 'traffic'], why)];
    }),
  );
  return [...nodes, ...patterns, ...actions];
}

/** Whether a pattern is of lines that can be said here: a pattern names "bootwright:", or fits what a script says. */
function sayableLines({ imager }: Scenario): (pattern: RegExp) => boolean {
  const said = Object.values(imager.config.userConfigs).flatMap(({ scripts }) =>
    scripts.flatMap(({ content }) =>
      scriptActs(content).flatMap((act) => (act.do === 'say' && act.console ? [act.text] : [])),
    ),
  );
  return (pattern) => pattern.source.includes('bootwright:') || said.some((text) => pattern.test(text));
}
