/** `agent pointer show|set|verify|history`: boot pointers on every kind of store. Parses, calls, prints. */
import { openPointerStore, storeFault } from '../linux/eeprom.ts';
import type { Host } from '../linux/host.ts';
import { rpiDigestFile } from '../linux/rpi-eeprom.ts';
import { type NamedStore, parseStore } from '../linux/store-name.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../protocol/pointer/record.ts';
import { PointerRefusedError, type PointerStore, PointerStoreError } from '../protocol/pointer/store.ts';
import { wrapped } from './help.ts';
import { jsonText } from './json-text.ts';
import { faultOf, historyOf, historyText, recordText, viewText } from './pointer-text.ts';
import { storesText } from './stores-text.ts';
import { type Given, JSON_OPTION, type OptionSpec, type Verb } from './verb.ts';

const NO_POINTER = 3;
const IN_PLACE =
  'with one copy of its environment U-Boot boots its built-in defaults where the power goes in the middle of a write; the agent ' +
  'keeps a sound copy (CONFIG.spare) to write it from again, and two copies in fw_env.config end this';

const STORE: OptionSpec = {
  name: 'store',
  value: 'KIND:PATH',
  about: 'pointer store, as listed below',
  required: true,
};

const show: Verb = {
  name: 'pointer show',
  about: 'both slots of a pointer store, and which one the firmware obeys',
  options: [STORE, JSON_OPTION],
  get notes() {
    return storesText();
  },
  examples: [
    'agent pointer show --store uboot-env:/dev/vda',
    'agent pointer show --store fw-env:/etc/fw_env.config --json',
  ],
  run(host, given, print) {
    const view = open(host, storeOf(given)).read();
    print(given.has('json') ? jsonText(view) : viewText(view));
    return undefined;
  },
};

const history: Verb = {
  name: 'pointer history',
  about: 'the pointers that the slots hold, the newest first, with their sequence numbers',
  options: [STORE, JSON_OPTION],
  get notes() {
    return storesText();
  },
  examples: ['agent pointer history --store eeprom:/sys/bus/i2c/devices/0-0050/eeprom'],
  run(host, given, print) {
    const entries = historyOf(open(host, storeOf(given)).read());
    print(given.has('json') ? jsonText(entries) : historyText(entries));
    return undefined;
  },
};

const verify: Verb = {
  name: 'pointer verify',
  about: 'read the store past every cache; exit code 3 where no usable boot pointer is in force',
  options: [STORE, JSON_OPTION],
  get notes() {
    return storesText();
  },
  examples: ['agent pointer verify --store efivars:/sys/firmware/efi/efivars && reboot'],
  run(host, given, print) {
    const store = storeOf(given);
    const target = open(host, store);
    const view = target.read();
    const fault = target.stubFault() ?? faultOf(target.layout, view, remedyOf(host, target, store.path));
    if (given.has('json')) print(jsonText({ ok: fault === undefined, fault, ...view }));
    else print(fault ?? `a sound boot pointer is in force\n${viewText(view)}`);
    return fault === undefined ? undefined : NO_POINTER;
  },
};

const set: Verb = {
  name: 'pointer set',
  about: 'write a boot pointer, read it back, and only then let it count; prints the old one and the new one',
  options: [
    STORE,
    { name: 'image', value: 'NAME', about: 'boot image', required: true },
    {
      name: 'disk',
      value: 'NAME',
      about: 'virtual disk; several times, the root disk first',
      required: true,
    },
    {
      name: 'imager',
      value: 'ADDRESS',
      about: 'IPv4 address of an imager; several times, in order of preference',
      required: true,
    },
    { name: 'cluster', value: 'NAME', about: 'cluster the node is in', required: true },
    { name: 'force', about: 'write even where the device does not look like an EEPROM for boot pointers' },
    JSON_OPTION,
  ],
  get notes() {
    return `${storesText()}\n\n${wrapped(`Store fw-env: ${IN_PLACE}.`).join('\n')}`;
  },
  examples: [
    'agent pointer set --store uboot-env:/dev/vda --image debian-12 --disk n1-root --imager 10.77.0.1 --cluster demo',
    'agent pointer set --store eeprom:/sys/bus/i2c/devices/0-0050/eeprom --image debian-12 --disk n1-root \\\n' +
      '    --imager 10.77.0.1 --cluster demo',
  ],
  run: setPointer,
};

export const pointerVerbs: readonly Verb[] = [show, history, verify, set];

/** What `set` would come to: by its own checks. */
function remedyOf(host: Host, target: PointerStore, path: string): string {
  const refusal = target.refusal();
  if (refusal !== undefined) return `\`agent pointer set\` would refuse: ${refusal}`;
  const fault = storeFault(host, target, path);
  return fault === undefined
    ? '`agent pointer set` writes one'
    : `${fault}: if it is the EEPROM, \`agent pointer set --force\` writes one`;
}

function setPointer(host: Host, given: Given, print: (text: string) => void): undefined {
  const store = storeOf(given);
  const target = open(host, store);
  const fault = given.has('force') ? undefined : storeFault(host, target, store.path);
  if (fault !== undefined)
    throw new PointerRefusedError(
      `${store.path} was not written: ${fault}. Is it the EEPROM? --force writes all the same`,
    );
  const old = target.read().pointer;
  const now = write(target, store, {
    image: given.needed('image'),
    disks: given.all('disk'),
    imagers: given.all('imager'),
    cluster: given.needed('cluster'),
    deployment: newDeployment(host),
    phase: 'deploy',
    attempts: FRESH_ATTEMPTS,
    fallback: old?.fallback ?? '',
  });
  const digest = target.layout.name === 'rpi-eeprom' ? rpiDigestFile(host, store.path) : undefined;
  if (given.has('json')) print(jsonText({ old: old ?? null, new: now, staleDigest: digest }));
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

function storeOf(given: Given): NamedStore {
  return parseStore('--store', given.needed('store'));
}

function open(host: Host, { kind, path }: NamedStore): PointerStore {
  return openPointerStore(host, kind, path);
}

/** Unlike any before it, and an id that the record takes. */
function newDeployment(host: Host): string {
  const part = () =>
    Math.floor(host.random() * 0x1_0000_0000)
      .toString(16)
      .padStart(8, '0');
  return part() + part();
}
