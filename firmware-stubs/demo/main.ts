/**
 * `make demo`: one node on real firmware, from a boot pointer to a service that answers, through the double reboot.
 * Builds what is missing, shows what happens as it happens, and ends with the timeline of the whole sequence.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wordsOf } from '../../agent/protocol/words-of.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { eepromPointers, makeEeprom } from '../rig/eeprom.ts';
import { Lab } from '../rig/lab.ts';
import type { RigNode } from '../rig/node.ts';
import { projectFile } from '../rig/project.ts';
import type { Rig } from '../rig/qemu.ts';
import { timelineSvg } from './svg.ts';
import { breakdownText, rowsText } from './table.ts';
import { timelineOf } from './timeline.ts';

const HELP = `Usage: node dist/firmware-stubs/demo/main.js [--rig arm64|x86]

Boots one QEMU node through the whole double reboot and prints its timeline.
  --rig arm64   U-Boot on QEMU's virt machine (default)
  --rig x86     SeaBIOS and iPXE

Files are left in build/demo/RIG: logs, serial line, timeline.svg, timeline.json.`;

const NODE = 'node1';
const ADDRESS = '10.77.0.11';
const IMAGER = '10.77.0.1';
/** As fixtures/demo/imager.yaml has them. */
const MAC = '52:54:00:77:00:11';
const UID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601';
const ARCHITECTURE: Record<Rig, string> = { arm64: 'arm64', x86: 'amd64' };
const TITLE: Record<Rig, string> = {
  arm64: 'arm64, U-Boot: power-on to ready through the double reboot (QEMU, software emulation)',
  x86: 'x86-64, SeaBIOS and iPXE: power-on to ready through the double reboot (QEMU, software emulation)',
};
/** Holds the process id of the demo that works in a folder. */
const OWNER = 'demo.pid';
const READY_MS = 180_000;

/** The verb of the imager that runs outside the lab, where one does. */
let stocking: ChildProcess | undefined;

async function demo(rig: Rig): Promise<void> {
  const dir = projectFile(`build/demo/${rig}`);
  takeOver(dir);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, OWNER), String(process.pid));
  cpSync(projectFile('fixtures/demo'), dir, { recursive: true });

  const lab = await Lab.open({ dir, address: `${IMAGER}/24` });
  let stopped = false;
  const interrupted = () => {
    stopped = true;
    console.error('interrupted: ending the node, the imager and their network');
    stocking?.kill();
    void lab.close().then(() => process.exit(130));
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    say('starting the imager: DHCP, TFTP, HTTP, NBD and the agent endpoint in one process');
    await lab.startImager({ config: join(dir, 'imager.yaml') });
    await stock(dir, ARCHITECTURE[rig]);
    const node = await flashedNode(lab, dir, rig);
    say(`powering on ${NODE} (${rig}); its steps, seconds since power-on:`);
    const events = await bootSequence(lab, node);
    await askService(lab);
    conclude(rig, dir, events, node.poweredOnAt);
  } catch (error) {
    // What fails because all of it is being ended is no news; the process is about to exit.
    if (!stopped) throw error;
  } finally {
    await lab.close();
    rmSync(join(dir, OWNER), { force: true });
  }
}

/** Rejects where another demo works in `dir`. */
function takeOver(dir: string): void {
  const owner = existsSync(join(dir, OWNER)) ? Number(readFileSync(join(dir, OWNER), 'utf8')) : 0;
  if (owner > 0 && owner !== process.pid && existsSync(`/proc/${owner}/task`))
    throw new Error(`another demo of this rig runs in ${dir} (process ${owner})`);
}

/** Puts on the imager what the node will boot: an image, a base disk, and the node's own disk over it. */
async function stock(dir: string, arch: string): Promise<void> {
  say('building the boot image and the base disk from Debian packages (kept in build/cache)');
  await imager(dir, ['image', 'build', 'alpha', '--arch', arch]);
  await imager(dir, ['base', 'build', 'web', '--arch', arch]);
  await imager(dir, ['disk', 'create', `${NODE}-root`, '--base', 'web']);
}

/** A node with a boot pointer in its EEPROM, as a technician leaves it. */
async function flashedNode(lab: Lab, dir: string, rig: Rig): Promise<RigNode> {
  const eeprom = join(dir, `${NODE}.eeprom`);
  makeEeprom(eeprom, rig);
  const pointer = eepromPointers(eeprom, rig).write({
    image: 'alpha',
    disks: [`${NODE}-root`],
    imagers: [IMAGER],
    cluster: 'demo',
    deployment: 'demo1',
    phase: 'deploy',
    attempts: 3,
    fallback: '',
  });
  say(`flashed the EEPROM: image ${pointer.image}, disk ${pointer.disks[0]}, sequence ${pointer.sequence}`);
  return lab.node({ name: NODE, rig, mac: MAC, uid: UID, eeprom });
}

/** Powers the node on, shows its steps while they come, and gives all that was seen once it is ready. */
async function bootSequence(lab: Lab, node: RigNode): Promise<BootEvent[]> {
  await node.powerOn();
  const stop = node.onLine(({ text, sincePowerOn }) => {
    if (text.startsWith('bootwright: '))
      say(`${(sincePowerOn / 1000).toFixed(2).padStart(7)}  ${text.slice('bootwright: '.length)}`);
  });
  const ready = node.waitForStep('ready', { withinMs: READY_MS });
  const failed = node.waitForStep('failed', { withinMs: READY_MS }).then(() => {
    throw new Error(`the node reports a failure:\n${node.serial()}`);
  });
  // Whichever does not come runs into its deadline later, or into the end of the lab.
  ready.catch(() => {});
  failed.catch(() => {});
  await Promise.race([ready, failed]);
  stop();
  const answer = await lab.space.check(['curl', '-fsS', `http://${IMAGER}/api/events?node=${NODE}`]);
  const events = JSON.parse(answer) as BootEvent[];
  return [...events.filter((event) => event.component !== 'agent'), ...node.events()];
}

async function askService(lab: Lab): Promise<void> {
  const page = await lab.space.check(['curl', '-fsS', '--max-time', '10', `http://${ADDRESS}/`]);
  say(`the node's web server answers http://${ADDRESS}/ from the imager's side:`);
  for (const line of page.trim().split('\n')) say(`    ${line}`);
}

function conclude(rig: Rig, dir: string, events: BootEvent[], powerOn: number): void {
  const timeline = timelineOf(events, powerOn);
  const svg = join(dir, 'timeline.svg');
  writeFileSync(svg, timelineSvg(TITLE[rig], timeline));
  writeFileSync(join(dir, 'timeline.json'), `${JSON.stringify(timeline, null, 2)}\n`);
  console.log(`\n${rowsText(timeline)}\n\n${breakdownText(timeline)}\n\ndrawn in ${svg}\n\nready`);
}

/** Runs a verb of the imager, outside the lab's network (packages are downloaded), its output passed on as it comes. */
function imager(dir: string, args: string[]): Promise<void> {
  const program = [projectFile('dist/imager/cli/main.js'), ...args, '--config', join(dir, 'imager.yaml')];
  const child = spawn(process.execPath, program, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, IMAGER_CACHE: projectFile('build/cache') },
  });
  stocking = child;
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`imager ${args.join(' ')}: exit ${code}`)),
    );
  });
}

function say(line: string): void {
  console.log(line);
}

/** The options given, or what is wrong with them. */
function options(): { rig: string; help: boolean } | { fault: string } {
  try {
    return parseArgs({
      options: { rig: { type: 'string', default: 'arm64' }, help: { type: 'boolean', default: false } },
    }).values;
  } catch (error) {
    return { fault: wordsOf(error) };
  }
}

const values = options();
if ('fault' in values) {
  console.error(`${values.fault}\n\n${HELP}`);
  process.exitCode = 2;
} else if (values.help) {
  console.log(HELP);
} else if (values.rig !== 'arm64' && values.rig !== 'x86') {
  console.error(`there is no rig "${values.rig}"; there are arm64 and x86`);
  process.exitCode = 2;
} else {
  await demo(values.rig).catch((error: unknown) => {
    console.error(wordsOf(error));
    process.exitCode = 1;
  });
}
