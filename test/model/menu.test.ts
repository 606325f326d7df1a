/** Boot menus of the configuration file. */
import { expect, test } from 'vitest';
import { menuToBytes } from '../../imager/dhcp/options/pxe-menu.ts';
import { ConfigError } from '../../imager/model/fault.ts';
import { parseConfig } from '../../imager/model/load.ts';

const HEAD = 'state: s\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';

function faultsOf(text: string): string[] {
  try {
    parseConfig(HEAD + text, 'c.yaml');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n');
  }
  return [];
}

test('a menu for all, and one of a node', () => {
  const config = parseConfig(
    `${HEAD}boot:
  image: i
  menu:
    prompt: F8?
    seconds: 0
    items:
      - { name: Rescue, file: images/rescue/nbi.0 }
      - { name: As always, boot: normal }
      - { name: Disk, boot: local }
nodes:
  - { name: n1, mac: "52:54:00:00:00:01", address: 10.0.0.2, boot: { menu: { ipxe: true, items: [{ name: A, file: a }] } } }
`,
    'c.yaml',
  );
  expect(config.boot).toEqual({
    image: 'i',
    files: {},
    menu: {
      prompt: 'F8?',
      seconds: 0,
      ipxe: false,
      items: [
        { name: 'Rescue', boot: { file: 'images/rescue/nbi.0' } },
        { name: 'As always', boot: 'normal' },
        { name: 'Disk', boot: 'local' },
      ],
    },
  });
  expect(config.nodes[0]?.boot).toEqual({
    menu: {
      prompt: 'Press F8 for the boot menu',
      seconds: 255,
      ipxe: true,
      items: [{ name: 'A', boot: { file: 'a' } }],
    },
  });
});

const menu = (text: string) => `boot:\n  menu:\n    ${text}\n`;

test.each([
  ['no items', menu('items: []'), /^c\.yaml:6:12: boot\.menu\.items: .* at least 1 menu items/],
  [
    'a limit',
    menu('{ seconds: 255, items: [{ name: A, file: a }] }'),
    /^c\.yaml:6:16: boot\.menu\.seconds: .*from 0 to 254/,
  ],
  [
    'letters firmware has not',
    menu('items: [{ name: "Gerät", file: a }]'),
    /^c\.yaml:6:21: .*printable ASCII/,
  ],
  [
    'two things to boot',
    menu('items: [{ name: A, file: a, boot: local }]'),
    /^c\.yaml:6:13: .*found both file and boot/,
  ],
  [
    'a URL in a menu of firmware',
    menu('items: [{ name: A, file: "http://10.0.0.1/a" }]'),
    /^c\.yaml:6:\d+: boot\.menu\.items\[0\]\.file: found "?http:.*expected a path: firmware loads .* by TFTP/,
  ],
  [
    'a path that is too long',
    menu(`items: [{ name: A, file: ${'a'.repeat(128)} }]`),
    /^c\.yaml:6:\d+: boot\.menu\.items\[0\]\.file: .*127 printable ASCII/,
  ],
  ['nothing to boot', menu('items: [{ name: A }]'), /^c\.yaml:6:13: .*found neither file nor boot/],
  [
    'more than firmware reads',
    menu(`items: [${Array.from({ length: 12 }, () => '{ name: Twelve chars, file: a }').join()}]`),
    /^c\.yaml:6:12: boot\.menu\.items: found 301 bytes of option 43, expected at most 255/,
  ],
  [
    'a node',
    'nodes:\n  - { name: n1, mac: "52:54:00:00:00:01", address: 10.0.0.2, boot: { menu: { items: [{ name: A }] } } }\n',
    /^c\.yaml:5:86: nodes\[0\]\.boot\.menu\.items\[0\]: found neither/,
  ],
])('%s', (_what, text, expected) => {
  const faults = faultsOf(text);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(expected);
});

test('what the check lets pass fits, to the byte', () => {
  const items = (last: string) => [
    ...Array.from({ length: 8 }, (_, index) => ({ name: `Number ${index} of 8.`, file: 'a' })),
    { name: last, boot: 'local' },
  ];
  const texts = (last: string) => `boot: ${JSON.stringify({ menu: { prompt: 'F', items: items(last) } })}\n`;
  const lengths = Array.from({ length: 60 }, (_, index) => 'x'.repeat(index + 1));
  const good = lengths.filter((last) => faultsOf(texts(last)).length === 0);
  const longest = parseConfig(HEAD + texts(good.at(-1)!), 'c.yaml').boot.menu!;
  expect(good.length).toBeLessThan(lengths.length);
  expect(menuToBytes(longest, '10.0.0.1')).toHaveLength(255);
});
