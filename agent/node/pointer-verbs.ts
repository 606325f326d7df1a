/** `agent pointer show|set|verify|history`: boot pointers on every kind of store. Parses, calls, prints. */
import { type Command, Option } from 'commander';
import { openPointerStore, storeFault } from '../linux/eeprom.ts';
import type { Host } from '../linux/host.ts';
import { rpiDigestFile } from '../linux/rpi-eeprom.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../protocol/pointer/record.ts';
import { PointerRefusedError, type PointerStore, PointerStoreError } from '../protocol/pointer/store.ts';
import { jsonText } from './json-text.ts';
import { faultOf, historyOf, historyText, recordText, viewText } from './pointer-text.ts';
import { type NamedStore, parseStore, storesText } from './store-option.ts';

interface StoreOption {
  store: NamedStore;
  json?: boolean;
}

interface SetOptions extends StoreOption {
  image: string;
  disk: string[];
  imager: string[];
  cluster: string;
  force?: boolean;
}

const NO_POINTER = 3;
const IN_PLACE =
  'with one copy of its environment U-Boot boots its built-in defaults where the power goes in the middle of a write; the agent ' +
  'keeps a sound copy (CONFIG.spare) to write it from again, and two copies in fw_env.config end this';

export function addPointerVerbs(
  program: Command,
  host: Host,
  print: (text: string) => void,
  exit: (code: number) => void,
): void {
  const pointer = program
    .command('pointer')
    .description('show, set and verify a boot pointer')
    .addHelpText('after', `\n${storesText()}\nExample:\n  agent pointer show --store uboot-env:/dev/vda`);
  const verb = (name: string, description: string, example: string) =>
    pointer
      .command(name)
      .description(description)
      .addOption(storeOption())
      .option('--json', 'print JSON')
      .addHelpText('after', `\n${storesText()}\nExamples:\n${example}`);

  verb(
    'show',
    'both slots of a pointer store, and which one the firmware obeys',
    '  agent pointer show --store uboot-env:/dev/vda\n  agent pointer show --store fw-env:/etc/fw_env.config --json',
  ).action(({ store, json }: StoreOption) => {
    const view = open(host, store).read();
    print(json ? jsonText(view) : viewText(view));
  });

  verb(
    'history',
    'the pointers that the slots hold, the newest first, with their sequence numbers',
    '  agent pointer history --store eeprom:/sys/bus/i2c/devices/0-0050/eeprom',
  ).action(({ store, json }: StoreOption) => {
    const history = historyOf(open(host, store).read());
    print(json ? jsonText(history) : historyText(history));
  });

  verb(
    'verify',
    'read the store past every cache; exit code 3 where no usable boot pointer is in force',
    '  agent pointer verify --store efivars:/sys/firmware/efi/efivars && reboot',
  ).action(({ store, json }: StoreOption) => {
    const target = open(host, store);
    const view = target.read();
    const fault = target.stubFault() ?? faultOf(target.layout, view, remedyOf(host, target, store.path));
    if (json) print(jsonText({ ok: fault === undefined, fault, ...view }));
    else print(fault ?? `a sound boot pointer is in force\n${viewText(view)}`);
    if (fault !== undefined) exit(NO_POINTER);
  });

  verb(
    'set',
    'write a boot pointer, read it back, and only then let it count; prints the old one and the new one',
    `  agent pointer set --store uboot-env:/dev/vda --image debian-12 --disk n1-root --imager 10.77.0.1 --cluster demo
  agent pointer set --store eeprom:/sys/bus/i2c/devices/0-0050/eeprom --image debian-12 --disk n1-root \\
      --imager 10.77.0.1 --cluster demo`,
  )
    .requiredOption('--image <name>', 'boot image')
    .requiredOption('--disk <name>', 'virtual disk, the root disk first', collect)
    .requiredOption('--imager <address>', 'IPv4 address of an imager, in order of preference', collect)
    .requiredOption('--cluster <name>', 'cluster the node is in')
    .option('--force', 'write even where the device does not look like an EEPROM for boot pointers')
    .action((options: SetOptions) => set(host, print, options))
    .addHelpText('after', `\nStore fw-env: ${IN_PLACE}.`);
}

/** What `set` would come to: by its own checks. */
function remedyOf(host: Host, target: PointerStore, path: string): string {
  const refusal = target.refusal();
  if (refusal !== undefined) return `\`agent pointer set\` would refuse: ${refusal}`;
  const fault = storeFault(host, target, path);
  return fault === undefined
    ? '`agent pointer set` writes one'
    : `${fault}: if it is the EEPROM, \`agent pointer set --force\` writes one`;
}

function set(host: Host, print: (text: string) => void, options: SetOptions): void {
  const { store, image, disk, imager, cluster, force, json } = options;
  const target = open(host, store);
  const fault = force ? undefined : storeFault(host, target, store.path);
  if (fault !== undefined)
    throw new PointerRefusedError(
      `${store.path} was not written: ${fault}. Is it the EEPROM? --force writes all the same`,
    );
  const old = target.read().pointer;
  const now = write(target, store, {
    ...{ image, disks: disk, imagers: imager, cluster },
    deployment: newDeployment(),
    phase: 'deploy',
    attempts: FRESH_ATTEMPTS,
    fallback: old?.fallback ?? '',
  });
  const digest = target.layout.name === 'rpi-eeprom' ? rpiDigestFile(host, store.path) : undefined;
  if (json) print(jsonText({ old: old ?? null, new: now, staleDigest: digest }));
  else {
    if (inPlace(target)) print(`warning: ${IN_PLACE}`);
    print(old === undefined ? 'old: none' : `old:\n${recordText(old)}`);
    print(`new, written and verified:\n${recordText(now)}`);
    if (digest !== undefined)
      print(
        `${digest} no longer fits the image: make it again with rpi-eeprom-digest before the next update`,
      );
  }
}

/** A single environment is written over, with the spare copy behind it. */
function inPlace({ layout }: PointerStore): boolean {
  return layout.name === 'fw-env' && layout.fixedSlot !== undefined;
}

/** Errors say which store it was. */
function write(
  target: PointerStore,
  { kind, path }: NamedStore,
  fields: Omit<BootPointer, 'sequence'>,
): BootPointer {
  try {
    return target.write(fields);
  } catch (error) {
    if (error instanceof PointerStoreError) error.message = `${kind}:${path}: ${error.message}`;
    throw error;
  }
}

function storeOption(): Option {
  return new Option('--store <kind:path>', 'pointer store, as listed below')
    .argParser(parseStore)
    .makeOptionMandatory();
}

function open(host: Host, { kind, path }: NamedStore): PointerStore {
  return openPointerStore(host, kind, path);
}

/** Unlike any before it, and an id that the record takes. */
function newDeployment(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 16);
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}
