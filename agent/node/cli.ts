/** The agent's verbs on a full system: what this node is, and its boot pointer. Parses, calls, prints. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { eepromFault, LAYOUTS, openPointerStore } from '../linux/eeprom.ts';
import type { Host } from '../linux/host.ts';
import { readUid } from '../linux/uid.ts';
import type { Slot } from '../protocol/pointer/layout.ts';
import { type BootPointer, FRESH_ATTEMPTS, fieldsOf } from '../protocol/pointer/record.ts';
import type { PointerStore, PointerView } from '../protocol/pointer/store.ts';

interface StoreOption {
  store: { layout: string; device: string };
  json?: boolean;
}

interface FlashOptions extends StoreOption {
  image: string;
  disk: string[];
  imager: string[];
  cluster: string;
  force?: boolean;
}

/** The program `agent`; `print` takes its output, line by line. */
export function agentProgram(host: Host, print: (text: string) => void): Command {
  const program = new Command('agent').description('hardware UID and boot pointer of a node');
  program.exitOverride().showHelpAfterError('(--help shows the usage)');
  program.addHelpText('after', '\nExamples:\n  agent uid\n  agent pointer show --store uboot-env:/dev/vda');
  program
    .command('uid')
    .description('print the hardware UID of this node')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  agent uid')
    .action(({ json }: { json?: boolean }) => {
      const uid = readUid(host);
      print(json ? JSON.stringify({ uid }) : uid);
    });
  const pointer = program
    .command('pointer')
    .description('show and flash a boot pointer')
    .addHelpText('after', '\nExample:\n  agent pointer show --store uboot-env:/dev/vda');
  pointer
    .command('show')
    .description('both slots of a pointer store, and which one the firmware obeys')
    .addOption(storeOption())
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  agent pointer show --store uboot-env:/dev/vda')
    .action(({ store, json }: StoreOption) => {
      const view = open(host, store).read();
      print(json ? JSON.stringify(view, null, 2) : viewText(view));
    });
  pointer
    .command('flash')
    .description('write a boot pointer, read it back, and only then let it count')
    .addOption(storeOption())
    .requiredOption('--image <name>', 'boot image')
    .requiredOption('--disk <name>', 'virtual disk, the root disk first', collect)
    .requiredOption('--imager <address>', 'IPv4 address of an imager, in order of preference', collect)
    .requiredOption('--cluster <name>', 'cluster the node is in')
    .option('--force', 'write even where the device does not look like an EEPROM for boot pointers')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Run it on the node, or on a file that stands for its EEPROM.

Example:
  agent pointer flash --store uboot-env:/dev/vda --image debian-12 --disk n1-root --imager 10.77.0.1 --cluster demo`,
    )
    .action(({ store, image, disk, imager, cluster, force, json }: FlashOptions) => {
      const target = open(host, store);
      const fault = force ? undefined : eepromFault(host, target, store.device);
      if (fault !== undefined)
        throw new Error(
          `${store.device} was not written: ${fault}. Is it the EEPROM? --force writes all the same`,
        );
      const written = target.write({
        image,
        disks: disk,
        imagers: imager,
        cluster,
        deployment: newDeployment(),
        phase: 'deploy',
        attempts: FRESH_ATTEMPTS,
        fallback: target.read().pointer?.fallback ?? '',
      });
      print(json ? JSON.stringify(written, null, 2) : `written and verified\n${recordText(written)}`);
    });
  return program;
}

function storeOption(): Option {
  const names = LAYOUTS.map(({ name }) => name).join(' or ');
  return new Option('--store <layout:device>', `pointer store: ${names}, and its device or file`)
    .argParser((value): StoreOption['store'] => {
      const colon = value.indexOf(':');
      if (colon < 1) throw new InvalidArgumentError('expected LAYOUT:DEVICE.');
      return { layout: value.slice(0, colon), device: value.slice(colon + 1) };
    })
    .makeOptionMandatory();
}

function open(host: Host, { layout, device }: StoreOption['store']): PointerStore {
  return openPointerStore(host, layout, device);
}

/** Unlike any before it, and an id that the record takes. */
function newDeployment(): string {
  return crypto.randomUUID().replaceAll('-', '').slice(0, 16);
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

function viewText({ slots, active }: PointerView): string {
  return slots.map((slot, i) => `slot ${i}${i === active ? ', in force' : ''}: ${slotText(slot)}`).join('\n');
}

function slotText(slot: Slot): string {
  switch (slot.kind) {
    case 'valid':
      return `\n${recordText(slot.pointer)}`;
    case 'empty':
      return 'empty';
    case 'torn':
      return `torn: ${slot.why}`;
    case 'invalid':
      return `invalid: ${slot.faults.join('; ')}`;
  }
}

function recordText(pointer: BootPointer): string {
  return fieldsOf(pointer)
    .map(([key, value]) => `  ${key.replace('bw_', '').padEnd(11)} ${value}`)
    .join('\n');
}
