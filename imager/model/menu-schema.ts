/** Sections of the configuration file about menus that PXE firmware shows. */
import { flag, list, oneOf, section, text, whole } from './fields.ts';

/** EDK II has room for 70 characters a line. */
const LINE = /^[\x20-\x7e]{1,69}$/;
/** What firmware has room for: the `file` field of a DHCP message, less its NUL. */
const FILE = /^[\x21-\x7e]{1,127}$/;

const item = section({
  name: text('what the menu shows: 1 to 69 printable ASCII characters', (value) => LINE.test(value)),
  file: text('a path of at most 127 printable ASCII characters, or a URL', (value) =>
    FILE.test(value),
  ).optional(),
  /** What firmware would boot without the menu, or its own disk. */
  boot: oneOf(['normal', 'local']).optional(),
});

export const bootMenu = section({
  prompt: text('1 to 69 printable ASCII characters', (value) => LINE.test(value)).default(
    'Press F8 for the boot menu',
  ),
  /** Until the first item is taken; without it the menu is shown at once and waits. */
  seconds: whole('seconds the prompt waits for a key', 0, 254).optional(),
  /** EDK II knows 24. */
  items: list('menu items', item, 1, 24),
  /** Whether iPXE shows it too. */
  ipxe: flag.default(false),
});
