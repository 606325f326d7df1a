/** The parts of a boot: what begins each, and how pictures show it. */

/** In order. `reboot` is from the restart to the firmware's first word. */
export const PARTS = [
  'reboot',
  'firmware',
  'dhcp',
  'load',
  'kernel',
  'agent',
  'disk',
  'configure',
  'services',
] as const;
export type Part = (typeof PARTS)[number];

/** `component step` of the events that end a part, and what the next one is. Others begin none. */
export const BEGINS: Readonly<Record<string, Part>> = {
  'firmware start': 'firmware',
  'firmware pointer': 'dhcp',
  'firmware dhcp': 'load',
  'firmware boot': 'kernel',
  'agent agent': 'agent',
  'nbd attach': 'disk',
  'agent mounted': 'configure',
  'agent reboot': 'reboot',
  'agent services': 'configure',
};

/** What each part is, for the reader of a picture, and its colour. */
export const LOOK: Readonly<Record<Part, { label: string; colour: string }>> = {
  reboot: { label: 'reset', colour: '#8d99ae' },
  firmware: { label: 'firmware', colour: '#5c6bc0' },
  dhcp: { label: 'DHCP', colour: '#00897b' },
  load: { label: 'load', colour: '#0288d1' },
  kernel: { label: 'kernel', colour: '#f9a825' },
  agent: { label: 'agent', colour: '#d81b60' },
  disk: { label: 'NBD disk', colour: '#6d4c41' },
  configure: { label: 'configure', colour: '#7cb342' },
  services: { label: 'services', colour: '#ef6c00' },
};
