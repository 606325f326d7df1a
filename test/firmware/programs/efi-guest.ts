/**
 * Process 1 of a UEFI machine: writes boot pointers and boot options on the kernel's own efivarfs, beside efivar and
 * efibootmgr. Each step is a line `STEP NAME TEXT` on the console; test/firmware/efi.test.ts has what must come.
 * `guest.boot=` on the kernel's command line is which boot this is.
 */
import { openPointerStore } from '../../../agent/linux/eeprom.ts';
import { EFIVARS, readBootOrder, setBootNext, setBootOrder } from '../../../agent/linux/efivars.ts';
import type { Host } from '../../../agent/linux/host.ts';
import { openLocalStore } from '../../../agent/linux/local-store.ts';
import type { LocalStore } from '../../../agent/protocol/definition.ts';
import { bootOptionName, GLOBAL_GUID, POINTER_GUID } from '../../../agent/protocol/pointer/efi-variables.ts';
import type { PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { start } from '../../../agent/quickjs/start.ts';
import { longestDefinition, uuid } from '../../local/definitions.ts';
import { FIELDS, modulesOf, mountSystem, say, text } from './guest.ts';

/** Number of a boot option that OVMF does not make. */
const SECOND = 0x10;

start(async (host) => {
  mountSystem(host);
  for (const path of modulesOf(host)) host.loadModule(path);
  host.mount('efivarfs', EFIVARS, 'efivarfs', '');
  const store = openPointerStore(host, 'efivars', EFIVARS);
  try {
    if (text(host, '/proc/cmdline').includes('guest.boot=1')) await first(host, store);
    else await second(host, store);
  } catch (error) {
    say(host, 'failed', String(error));
  }
  host.reboot('poweroff');
});

async function first(host: Host, store: PointerStore): Promise<void> {
  say(host, 'fresh', inForce(store));
  for (const image of ['alpha', 'beta', 'gamma']) store.write({ ...FIELDS, image });
  say(host, 'written', inForce(store));
  const local = localStore(host);
  for (const cluster of [1, 2]) local.define(longestDefinition(cluster));
  local.erase(uuid(1));
  say(host, 'defined', clusters(host));
  say(host, 'beside', inForce(store));
  // The kernel has made them immutable: the third write came through all the same, and they still are.
  try {
    host.writeStored(`${EFIVARS}/BootPointer0-${POINTER_GUID}`, 0, new Uint8Array(4));
    say(host, 'immutable', 'no');
  } catch (error) {
    say(host, 'immutable', String((error as { code?: string }).code));
  }
  // Without a disk OVMF has its menu alone: a second option like it, so that there is an order.
  const [menu] = readBootOrder(host).options;
  const option = (number: number) => `${EFIVARS}/${bootOptionName(number)}-${GLOBAL_GUID}`;
  host.writeVariable(option(SECOND), host.readFile(option(menu!.number)));
  setBootNext(host, SECOND);
  setBootOrder(host, [SECOND, menu!.number]);
  const { options } = readBootOrder(host);
  say(host, 'options', options.map(({ number, description }) => `${number}=${description}`).join(','));
  sayOrder(host);
  say(host, 'efibootmgr', await tool(host, ['/bin/efibootmgr'], /Boot(?:Next|Order): \S+/g));
  const name = `${POINTER_GUID}-BootPointer0`;
  say(host, 'efivar', await tool(host, ['/bin/efivar', '-p', '-n', name], /BWP1/g));
}

async function second(host: Host, store: PointerStore): Promise<void> {
  say(host, 'kept', inForce(store));
  say(host, 'defined', clusters(host));
  sayOrder(host);
  // efibootmgr changes the order, efivar a pointer; both are read.
  const { order } = readBootOrder(host);
  const numbers = [...order].reverse().map((number) => number.toString(16).padStart(4, '0'));
  await tool(host, ['/bin/efibootmgr', '-o', numbers.join(',')], /x/g);
  sayOrder(host);
  const data = host.readFile(`${EFIVARS}/BootPointer1-${POINTER_GUID}`).slice(4);
  data[20] = data[20]! ^ 1;
  host.replaceFile('/data', data);
  const name = `${POINTER_GUID}-BootPointer0`;
  await tool(host, ['/bin/efivar', '-w', '-n', name, '-f', '/data'], /x/g);
  say(host, 'damaged', inForce(store));
  store.write({ ...FIELDS, image: 'delta' });
  say(host, 'mended', inForce(store));
}

function localStore(host: Host): LocalStore {
  return openLocalStore(host, { layout: 'efivars', device: EFIVARS })!;
}

/** Which are defined, and whether all of the definition came back. */
function clusters(host: Host): string {
  const { definitions, current } = localStore(host).read();
  const [only] = definitions;
  const whole = JSON.stringify(only?.key) === JSON.stringify(longestDefinition(2).key);
  return `${definitions.length} ${only?.cluster.id === uuid(2) ? 2 : '-'} ${whole} ${current ?? '-'}`;
}

function inForce(store: PointerStore): string {
  const { slots, active, pointer } = store.read();
  return `${slots.map(({ kind }) => kind).join(' ')} ${active ?? '-'} ${pointer?.image ?? '-'} ${pointer?.sequence ?? '-'}`;
}

function sayOrder(host: Host): void {
  const { next, order } = readBootOrder(host);
  say(host, 'order', `${next ?? '-'} ${order.join(',')}`);
}

/** What of the tool's output matches. */
async function tool(host: Host, argv: string[], pattern: RegExp): Promise<string> {
  const { code, output } = await host.run(argv, { timeoutMs: 30_000, env: { LD_LIBRARY_PATH: '/lib' } });
  if (code !== 0) throw new Error(`${argv.join(' ')}: ${code}: ${output}`);
  return (output.match(pattern) ?? []).join(' ');
}
