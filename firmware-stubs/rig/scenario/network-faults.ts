/** Packets that get lost on purpose: an nftables ruleset on the lab's bridge. Pure. */
import type { ImagerConfig } from '../../../imager/model/config.ts';
import type { Traffic } from './action.ts';

export interface Drop {
  /** The node's interface on the bridge. */
  tap: string;
  traffic: Traffic;
}

const TABLE = 'bridge rig_scenario';

/** What `nft -f -` makes the only faults there are: packets of these kinds to and from these nodes get lost. */
export function dropRules(drops: readonly Drop[], ports: ImagerConfig['ports']): string {
  const rules = drops.flatMap(({ tap, traffic }) =>
    matches(traffic, ports).flatMap((match) =>
      ['iifname', 'oifname'].map((side) => `${side} ${tap} ${match} drop`),
    ),
  );
  const chain = (hook: string) => [
    `chain on_${hook} {`,
    `type filter hook ${hook} priority 0`,
    ...rules,
    '}',
  ];
  // Made before it is deleted: deleting what is not there is an error. A block's end is a line of its own: nft wants it so.
  return [
    `table ${TABLE} { }`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    ...['input', 'forward', 'output'].flatMap(chain),
    '}',
    '',
  ].join('\n');
}

/** One match for each direction. Nodes speak no UDP but DHCP and TFTP, whose transfers have ports of their own. */
function matches(traffic: Traffic, ports: ImagerConfig['ports']): string[] {
  const dhcp = `{ ${ports.dhcp}, ${ports.dhcpClient} }`;
  switch (traffic) {
    case 'all':
      return [''];
    case 'arp':
      return ['ether type arp'];
    case 'dhcp':
      return [`udp dport ${dhcp}`];
    case 'tftp':
      return [`meta l4proto udp udp dport != ${dhcp}`];
    case 'http':
    case 'nbd':
    case 'agent':
      return [`tcp dport ${ports[traffic]}`, `tcp sport ${ports[traffic]}`];
  }
}
