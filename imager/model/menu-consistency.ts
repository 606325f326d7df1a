/** Boot menus that cannot be sent or lead nowhere. Pure. */
import type { ConfigPath, Finding } from './fault.ts';
import type { ConfigFile } from './schema.ts';

type Menu = NonNullable<ConfigFile['boot']['menu']>;

/** All of a menu has to fit one instance of option 43 (imager/dhcp/options/pxe-menu.ts). */
const MAX_BYTES = 255;
const URL = /^[a-z][a-z0-9+.-]*:\/\//i;

/** Every contradiction of the menus, those of nodes too. */
export function menuFindings({ boot, nodes }: ConfigFile): Finding[] {
  return [
    ...findingsOf(['boot', 'menu'], boot.menu),
    ...nodes.flatMap((node, index) => findingsOf(['nodes', index, 'boot', 'menu'], node.boot?.menu)),
  ];
}

function findingsOf(path: ConfigPath, menu: Menu | undefined): Finding[] {
  if (menu === undefined) return [];
  const findings: Finding[] = menu.items.flatMap(({ file, boot }, index) =>
    (file === undefined) === (boot === undefined)
      ? [
          {
            path: [...path, 'items', index],
            found: file === undefined ? 'neither file nor boot' : 'both file and boot',
            expected: 'one of them',
          },
        ]
      : [],
  );
  for (const [index, { file }] of menu.items.entries())
    if (file !== undefined && URL.test(file) && !menu.ipxe)
      findings.push({
        path: [...path, 'items', index, 'file'],
        found: file,
        expected: 'a path: firmware loads what its menu names by TFTP; with `ipxe: true` iPXE takes URLs too',
      });
  const bytes = menuBytes(menu);
  if (bytes > MAX_BYTES)
    findings.push({
      path: [...path, 'items'],
      found: `${bytes} bytes of option 43`,
      expected: `at most ${MAX_BYTES}: shorter names (11 bytes and the prompt, 10 bytes and the name for each item)`,
    });
  return findings;
}

/** Length of option 43 (PXE specification 2.1, table 2-1): tags 6, 8, 9 and 10 and the end. */
function menuBytes({ prompt, items }: Menu): number {
  const servers = items.filter(({ boot }) => boot !== 'local').length;
  const names = items.reduce((sum, { name }) => sum + name.length, 0);
  return 3 + (2 + 7 * servers) + (2 + 3 * items.length + names) + (3 + prompt.length) + 1;
}
