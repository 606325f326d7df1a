/** `imager serial`: boot pointers over serial lines, and consoles. Parses, calls, prints. */
import { randomBytes } from 'node:crypto';
import { type Command, Option } from 'commander';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { listPorts } from '../serial/ports.ts';
import { reach } from '../serial/reach.ts';
import { targetFor } from '../serial/target.ts';
import {
  flash,
  recover,
  type Shown,
  show,
  slotWords,
  type Target,
  verify,
  type Written,
  withNode,
} from '../serial/work.ts';
import { pointerFields } from './node.ts';
import { addConsole } from './serial-console.ts';
import { type PortOptions, SERIAL_EXIT_CODES, SerialContext } from './serial-context.ts';
import { baudOption, collect, positive } from './serial-options.ts';
import { fields, table } from './table.ts';

interface TargetOptions {
  image?: string;
  disk?: string[];
  imager?: string[];
  cluster?: string;
}

interface WriteOptions extends PortOptions {
  dryRun?: boolean;
  reset?: boolean;
}

const TYPES =
  'Until somebody answers, Ctrl-C is typed on the port every 0.4 s: U-Boot stops at its prompt for it.';

export function addSerial(program: Command): void {
  const serial = program
    .command('serial')
    .description('read, flash, verify and recover boot pointers over serial lines')
    .addHelpText(
      'after',
      `
${SERIAL_EXIT_CODES}

Examples:
  imager serial list
  imager serial flash --port /dev/ttyUSB0 --image debian-12 --disk node1-root
  imager serial flash --all --image debian-12 --disk {node}-root
  imager serial verify --port /dev/ttyUSB0`,
    );
  addList(serial);
  addShow(serial);
  addFlash(serial);
  addVerify(serial);
  addRecover(serial);
  addConsole(serial);
}

function addList(serial: Command): void {
  portOptions(serial.command('list'), '2')
    .description('serial ports of this machine and what answers there; nothing is typed on consoles')
    .addHelpText(
      'after',
      `
A console sees a few stray characters, and no Enter; as any key, they stop autoboot where U-Boot waits for one.

Examples:
  imager serial list
  imager serial list --port /dev/ttyUSB0 --json`,
    )
    .action(async (options: PortOptions, command: Command) => {
      const ports = listPorts();
      const named = options.port ?? ports.map(({ path }) => path);
      const context = new SerialContext(command, { ...options, port: named });
      const results = await context.onPorts((_port, line) => reach(line, { ...context.reach, uboot: false }));
      const rows = results.map((result) => {
        const { driver = '', id = null } = ports.find(({ path }) => path === result.port) ?? {};
        const identity = result.ok ? result.value.identity : null;
        const says = result.ok ? result.value.identity.firmware : result.failure.message;
        return { port: result.port, driver, id, identity, says };
      });
      context.print(rows, (all) =>
        table(
          ['port', 'driver', 'node', 'says'],
          all.map(({ port, driver, identity, says }) => [port, driver, identity?.uid ?? '', says]),
        ),
      );
    });
}

function addShow(serial: Command): void {
  portOptions(serial.command('show'), '30')
    .description('both slots of the boot pointer, and which one the firmware obeys')
    .option('--log', "print the firmware's log too")
    .addHelpText(
      'after',
      `
${TYPES}
A board whose pointer is in U-Boot's saved environment, found waiting at its prompt, is started again before it is read.

Examples:
  imager serial show --port /dev/ttyUSB0
  imager serial show --all --json`,
    )
    .action(async (options: PortOptions & { log?: boolean }, command: Command) => {
      const context = new SerialContext(command, options);
      const results = await context.onPorts((_port, line) =>
        withNode(line, context.reach, (end) => show(end, { log: options.log === true })),
      );
      context.report(results, showWords);
    });
}

function addFlash(serial: Command): void {
  targetOptions(writeOptions(portOptions(serial.command('flash'), '30')), true)
    .description('write a boot pointer, read it back, and only then say so')
    .option('--again', 'a new deployment even where the node boots from there already')
    .addHelpText(
      'after',
      `
${TYPES}
{node} in an image or a disk is the node's name in the configuration, {uid} its UID. Safe to repeat: a node that boots from
there already is left as it is. A pulled cable or a power cut leaves the old or the new pointer.

Examples:
  imager serial flash --port /dev/ttyUSB0 --image debian-12 --disk node1-root --reset
  imager serial flash --all --image debian-12 --disk {node}-root --dry-run`,
    )
    .action(async (options: WriteOptions & TargetOptions & { again?: boolean }, command: Command) => {
      const context = new SerialContext(command, options);
      const target = context.wholeTarget(targetOf(options));
      const { dryRun = false, reset = false, again = false } = options;
      const results = await context.onPorts((_port, line) =>
        withNode(line, context.reach, (end) =>
          flash(end, {
            target: (identity) => targetFor(target, identity, context.nameOf),
            // Each node's own, unlike any before it.
            deployment: randomBytes(8).toString('hex'),
            ...{ again, dryRun, reset },
          }),
        ),
      );
      context.report(results, writtenWords);
    });
}

function addVerify(serial: Command): void {
  targetOptions(portOptions(serial.command('verify'), '30'), false)
    .description('read the boot pointer and check it')
    .addHelpText(
      'after',
      `
${TYPES}
Checked is what is named here; where nothing is, what was last flashed from here to this node, as far as it is on record.

Examples:
  imager serial verify --port /dev/ttyUSB0
  imager serial verify --all --image debian-12 --disk {node}-root`,
    )
    .action(async (options: PortOptions & TargetOptions, command: Command) => {
      const context = new SerialContext(command, options);
      const named = targetOf(options);
      const results = await context.onPorts((_port, line) =>
        withNode(line, context.reach, (end) =>
          verify(end, (identity) =>
            Object.keys(named).length === 0
              ? context.flashedTarget(identity.uid)
              : targetFor(named, identity, context.nameOf),
          ),
        ),
      );
      context.report(results, (shown) => `boot pointer verified\n${fields(pointerFields(shown.pointer))}`);
    });
}

function addRecover(serial: Command): void {
  writeOptions(portOptions(serial.command('recover'), '30'))
    .description('give a node without a usable boot pointer its former one')
    .option('--previous', 'take the record before the one in force, be that sound or not')
    .addHelpText(
      'after',
      `
${TYPES}
Takes the newest usable record in the node's own slots, else what was last flashed from here. A sound pointer stays. With
--previous, where both slots name the same target (an attempt was counted), what was last flashed from here with another one.

Examples:
  imager serial recover --port /dev/ttyUSB0
  imager serial recover --port /dev/ttyUSB0 --previous --reset`,
    )
    .action(async (options: WriteOptions & { previous?: boolean }, command: Command) => {
      const context = new SerialContext(command, options);
      const { dryRun = false, reset = false, previous = false } = options;
      const results = await context.onPorts((_port, line) =>
        withNode(line, context.reach, (end) =>
          recover(end, {
            remembered: (uid, wanted) => context.audit.lastVerified(uid, wanted),
            ...{ previous, dryRun, reset },
          }),
        ),
      );
      context.report(results, writtenWords);
    });
}

function portOptions(command: Command, wait: string): Command {
  return command
    .addOption(new Option('--port <device>', 'serial port; repeat for more').argParser(collect))
    .option('--all', 'every serial port of this machine')
    .addOption(baudOption())
    .addOption(
      new Option('--wait <seconds>', 'how long to wait for an answer: switch the node on meanwhile')
        .argParser(positive)
        .default(positive(wait)),
    )
    .option('--state <folder>', "folder of the audit trail (default: the configuration's state folder)")
    .option('--json', 'print JSON');
}

function writeOptions(command: Command): Command {
  return command
    .option('-n, --dry-run', 'read, and print what would be written')
    .option('--reset', 'let the node start again when it is done');
}

function targetOptions(command: Command, mandatory: boolean): Command {
  return command
    .addOption(new Option('--image <image>', 'boot image').makeOptionMandatory(mandatory))
    .addOption(
      new Option('--disk <disk>', 'disk, the root disk first; repeat for more')
        .argParser(collect)
        .makeOptionMandatory(mandatory),
    )
    .addOption(
      new Option(
        '--imager <address>',
        "IPv4 address of an imager; repeat for more (default: the configuration's)",
      ).argParser(collect),
    )
    .option('--cluster <name>', "cluster the node is in (default: the configuration's)");
}

function targetOf({ image, disk, imager, cluster }: TargetOptions): Partial<Target> {
  return {
    ...(image === undefined ? {} : { image }),
    ...(disk === undefined ? {} : { disks: disk }),
    ...(imager === undefined ? {} : { imagers: imager }),
    ...(cluster === undefined ? {} : { cluster }),
  };
}

function showWords({ identity, view, log }: Shown): string {
  const { image, phase } = view.pointer ?? {};
  const head = fields([
    ['pointer', image === undefined ? 'none that is usable' : `${image}, ${phase}`],
    ['UID', identity.uid],
    ['firmware', identity.firmware],
    ['store', `${identity.layout}, ${identity.locked ? 'locked' : 'open'}`],
    ['slots', slotWords(view)],
    ...(view.pointer === undefined ? [] : pointerFields(view.pointer)),
  ]);
  return log === undefined ? head : `${head}\n\n${log.replaceAll('\r', '').trimEnd()}`;
}

function writtenWords({ old, pointer, outcome }: Written): string {
  if (outcome === 'kept') return `in force already, nothing was written\n${fields(pointerFields(pointer))}`;
  const head = outcome === 'planned' ? 'would be written' : 'boot pointer written, read back and verified';
  return `${head}\n${fields(changes(old, pointer))}`;
}

function changes(old: BootPointer | null, pointer: BootPointer): (readonly [string, string])[] {
  const before = new Map(old === null ? [] : pointerFields(old));
  return pointerFields(pointer).map(
    ([name, value]) => [name, `${before.get(name) || '-'} -> ${value || '-'}`] as const,
  );
}
