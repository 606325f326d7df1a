/** Tagged images and boot sectors on x86 machines: what `imager image nbi` builds is booted by firmware without the format. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { eepromPointers, makeEeprom } from '../../firmware-stubs/rig/eeprom.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { NodeOptions, RigNode } from '../../firmware-stubs/rig/node.ts';
import { stockFor } from '../../firmware-stubs/rig/scenario/stock.ts';
import { encodeHeader, type Placement } from '../../imager/images/nbi/header.ts';

// Generous: UEFI firmware alone takes most of a minute where the machine is busy with other tests.
const IN_TIME = { withinMs: 240_000 };
const LIMIT = 600_000;
const ARGS = 'console=ttyS0,115200 panic=5 no_timer_check';
const NODES = ['pointed', 'network', 'segments', 'disk', 'diskette', 'sector', 'uefi'].map((name, index) => ({
  name,
  mac: `52:54:00:77:00:1${index + 1}`,
  uid: `6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f60${index + 1}`,
  address: `10.77.0.1${index + 1}`,
}));
/** What the configuration says they boot, where it does. */
const BOOT: Record<string, object> = { network: { file: 'images/tagged/nbi.0' }, uefi: { image: 'uefi' } };

let dir: string;
let lab: Lab;
let node: RigNode | undefined;

beforeAll(async () => {
  const stock = await stockFor('x86');
  dir = mkdtempSync(join(tmpdir(), 'nbi-boot-'));
  const config = join(dir, 'imager.yaml');
  writeFileSync(
    config,
    stringify({
      ...{ state: './state', cluster: 'test', network: { address: '10.77.0.1', prefix: 24 } },
      nodes: NODES.map((each) => ({
        ...each,
        ...(BOOT[each.name] === undefined ? {} : { boot: BOOT[each.name] }),
      })),
    }),
  );
  lab = await Lab.open({ dir });
  await lab.startImager({ config });
  await verb('image', 'add', 'plain', '--arch', 'amd64', '--kernel', stock.kernel, '--initrd', stock.initrd);
  await verb('image', 'nbi', 'tagged', '--from', 'plain', '--args', ARGS);
  const sector = await assembled('sector.S', '0x7c00');
  await verb('image', 'add', 'uefi', '--efi', stock.kernel, '--args', ARGS);
  await verb('image', 'add', 'segments', '--nbi', await segmentsImage());
  await verb('image', 'add', 'linear', '--nbi', await linearImage());
  await verb('image', 'add', 'sector', '--boot-sector', sector);
  await truncate(sector, 1_474_560);
  await verb('image', 'add', 'diskette', '--boot-sector', sector);
  await truncate(sector, 8_225_280);
  await verb('image', 'add', 'disk', '--boot-sector', sector);
});
afterEach(() => node?.cutPower());
afterAll(async () => {
  await lab?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function verb(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await lab.imagerCommand(args);
  if (code !== 0) throw new Error(`imager ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** The program of a source beside this file, for that address. */
async function assembled(source: string, address: string): Promise<string> {
  const run = promisify(execFile);
  const [object, file] = [join(dir, `${source}.o`), join(dir, `${source}.bin`)];
  await run('x86_64-linux-gnu-as', ['--32', join(import.meta.dirname, source), '-o', object]);
  const format = ['-m', 'elf_i386', '--oformat', 'binary', '-Ttext', address];
  await run('x86_64-linux-gnu-ld', [...format, object, '-o', file]);
  return file;
}

/** A tagged image that is no Linux: a program, a text after it, one below that, and one at the end of memory. */
async function segmentsImage(): Promise<string> {
  const program = readFileSync(await assembled('segments.S', '0'));
  const parts: [Placement, number, Buffer][] = [
    ['absolute', 0x20000, program],
    ['after the segment before', 0x10, Buffer.from('after ')],
    ['below the segment before', 0x1000, Buffer.from('below ')],
    ['below the end of memory', 0x100001, Buffer.from('end')],
  ];
  const header = encodeHeader({
    location: { segment: 0x3000, offset: 0x10 },
    entry: { segment: 0x2000, offset: 0 },
    returns: true,
    vendor: new Uint8Array([1, 2, 3, 4]),
    segments: parts.map(([placement, address, bytes], tag) => ({
      // One byte more in memory than in the file ends each text.
      ...{ tag, placement, address, fileBytes: bytes.length, vendor: new Uint8Array(4 * tag) },
      memoryBytes: tag === 0 ? bytes.length : bytes.length + 1,
    })),
  });
  const file = join(dir, 'segments.nbi');
  writeFileSync(file, Buffer.concat([header, ...parts.map(([, , bytes]) => bytes)]));
  return file;
}

/** One with a 32-bit program above 1 MiB, and a segment of nothing where nothing could be. */
async function linearImage(): Promise<string> {
  const program = readFileSync(await assembled('linear.S', '0x200000'));
  const segment = (address: number, bytes: number, tag: number) => ({
    ...{ tag, address, fileBytes: bytes, memoryBytes: bytes },
    ...{ placement: 'absolute' as const, vendor: new Uint8Array() },
  });
  const header = encodeHeader({
    location: { segment: 0x3000, offset: 0 },
    entry: 0x200000,
    returns: true,
    vendor: new Uint8Array(),
    segments: [segment(0, 0, 0), segment(0x200000, program.length, 1)],
  });
  const file = join(dir, 'linear.nbi');
  writeFileSync(file, Buffer.concat([header, program]));
  return file;
}

/** A node by its name in the configuration, switched on. */
async function powerOn(name: string, boot: Pick<NodeOptions, 'eeprom' | 'firmware'>): Promise<RigNode> {
  const { mac, uid } = NODES.find((each) => each.name === name)!;
  node = await lab.node({ name, rig: 'x86', mac, uid, ...boot });
  await node.powerOn();
  return node;
}

/** A node without a boot pointer: its iPXE takes an address and chains to `uri`. */
async function powerOnWithout(name: string, uri: string): Promise<RigNode> {
  const eeprom = join(dir, `${name}.eeprom`);
  writeFileSync(eeprom, `#!ipxe\nifconf -c dhcp\nchain ${uri}\n`.padEnd(8192));
  return powerOn(name, { eeprom });
}

/** The kernel says it twice, and QEMU's serial line may lose characters on a busy machine. */
function commandLine(args: string): RegExp {
  return new RegExp(`ommand line: ${args.replaceAll(/\.(?!\*)/g, '\\.')}$`);
}

const script = (image: string) => `http://10.77.0.1/images/${image}/boot.ipxe`;

test(
  'a boot pointer names a tagged image: kernel and agent start, with the arguments of the node',
  async () => {
    const eeprom = join(dir, 'eeprom');
    makeEeprom(eeprom, 'x86');
    eepromPointers(eeprom, 'x86').write({
      ...{ image: 'tagged', disks: ['none'], imagers: ['10.77.0.1'], cluster: 'test' },
      ...{ deployment: 'first', phase: 'deploy', attempts: 3, fallback: '' },
    });
    const pointed = await powerOn('pointed', { eeprom });
    expect((await pointed.waitForStep('boot', IN_TIME)).detail).toMatchObject({ image: 'tagged' });
    await pointed.waitForLine(/nbi: loading images\/tagged\/boot\.nbi/, IN_TIME);
    await pointed.waitForLine(/Linux version \d/, IN_TIME);
    const own =
      'bootwright.image=tagged bootwright.pointer=ipxe-script:/dev/vda ip=10.77.0.11:::255.255.255.0:pointed:eth0:off';
    await pointed.waitForLine(commandLine(`${ARGS} ${own}`), IN_TIME);
    await pointed.waitForStep('agent', IN_TIME);
    await pointed.waitForStep('pointer', IN_TIME);
  },
  LIMIT,
);

test(
  'DHCP names the loader and the server, as it does for any PXE ROM',
  async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE expands it
    const network = await powerOnWithout('network', '${filename}');
    await network.waitForLine(/nbi: starting the image/, IN_TIME);
    await network.waitForLine(commandLine(ARGS), IN_TIME);
  },
  LIMIT,
);

test(
  'segments go where the header says, and the program may return, also one of 32 bits',
  async () => {
    const both = `${script('linear')} || chain ${script('segments')} || echo both returned`;
    const segments = await powerOnWithout('segments', both);
    await segments.waitForLine(/^linear: above 1 MiB, in 32 bits/, IN_TIME);
    await segments.waitForLine(/^nbi: the image returned/, IN_TIME);
    await segments.waitForLine(/^after below header/, IN_TIME);
    await segments.waitForLine(/^both returned/, IN_TIME);
  },
  LIMIT,
);

test.each([
  ['disk', 'reads the rest of it', /^the second sector/],
  ['diskette', 'reads the rest of it', /^the second sector/],
  ['sector', 'is loaded whole', /^no disk, but the second sector/],
])(
  'the boot sector of a %s %s',
  async (name, _, text) => {
    await (await powerOnWithout(name, script(name))).waitForLine(text, IN_TIME);
  },
  LIMIT,
);

test(
  'a UEFI program starts with its arguments under UEFI firmware',
  async () => {
    // Debian's kernel is one, whatever else it is.
    const uefi = await powerOn('uefi', { firmware: 'ipxe-uefi' });
    expect((await uefi.waitForStep('boot', IN_TIME)).detail).toMatchObject({ image: 'uefi' });
    await uefi.waitForLine(commandLine(`.*${ARGS}`), IN_TIME);
  },
  LIMIT,
);

test('what is stored is compared with its checksums', async () => {
  expect(await verb('image', 'verify', 'tagged')).toMatch(
    /^tagged: read 1 added file, \d+ bytes; all as added /,
  );
  const stored = join(dir, 'state/images/sector/boot.img');
  const bytes = readFileSync(stored);
  bytes[100]! ^= 1;
  writeFileSync(stored, bytes);
  const { code, stderr } = await lab.imagerCommand(['image', 'verify', 'sector']);
  expect(stderr).toMatch(
    /^imager: image sector is damaged: boot\.img has sha256 [0-9a-f]{64}, not [0-9a-f]{64}; remove its folder \/.*\/sector and add it again\n$/,
  );
  expect(code).toBe(1);
  expect((await lab.imagerCommand(['image', 'verify', 'absent'])).stderr).toMatch(/absent/);
});
