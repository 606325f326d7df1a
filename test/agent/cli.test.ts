/** The agent's verbs, run as a technician would, on both runtimes: what they print where, and their exit codes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Host } from '../../agent/linux/host.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { VERBS } from '../../agent/verbs/table.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { buildAgentsFirst, RUNTIMES } from '../support/agent-process.ts';
import { quickVerb, runAgent, verb, verbOn } from '../support/agent-verbs.ts';

buildAgentsFirst();

let dir: string;
let eeprom: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-cli-'));
  eeprom = join(dir, 'eeprom');
  writeFileSync(eeprom, new Uint8Array(0x2000));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** What ends well prints, what does not throws what it says. */
function agent(...args: string[]): string {
  const { code, out, err } = verb(...args);
  if (code !== 0) throw new Error(err);
  return out.trimEnd();
}

const flash = (...more: string[]) =>
  agent('pointer', 'set', '--store', `uboot-env:${eeprom}`, '--cluster', 'demo', ...more);

it('flashes a pointer and shows it, in words and as JSON', () => {
  expect(agent('pointer', 'show', '--store', `uboot-env:${eeprom}`)).toBe('slot 0: empty\nslot 1: empty');
  const text = flash('--image', 'alpha', '--disk', 'root', '--disk', 'data', '--imager', '10.0.0.1');
  expect(text).toMatch(
    /^old: none\nnew, written and verified:\n {2}sequence {4}1\n {2}image {7}alpha\n {2}disks {7}root,data\n/,
  );
  const shown = JSON.parse(agent('pointer', 'show', '--json', '--store', `uboot-env:${eeprom}`));
  expect(shown).toMatchObject({
    active: 0,
    pointer: { image: 'alpha', disks: ['root', 'data'], phase: 'deploy' },
  });
  const again = JSON.parse(flash('--image', 'beta', '--disk', 'root', '--imager', '10.0.0.1', '--json'));
  expect(again).toMatchObject({ old: shown.pointer, new: { image: 'beta', sequence: 2 } });
  expect(again.new.deployment).not.toBe(shown.pointer.deployment);
});

it('refuses what cannot be a pointer, and leaves the EEPROM alone', () => {
  const before = readFileSync(eeprom);
  expect(() => flash('--image', '../x', '--disk', 'root', '--imager', '10.0.0.1')).toThrow(
    'boot pointer not written: image "../x" is not a name',
  );
  expect(() => flash('--image', 'alpha', '--disk', 'root', '--imager', 'imager.example')).toThrow(
    'imager "imager.example" is not an IPv4 address',
  );
  expect(() => flash('--disk', 'root', '--imager', '10.0.0.1')).toThrow('--image');
  expect(readFileSync(eeprom)).toEqual(before);
});

it('names the layouts there are, and the file that is not', () => {
  expect(() => agent('pointer', 'show', '--store', `spi:${eeprom}`)).toThrow(
    'expected KIND:PATH, KIND one of uboot-env, ipxe-script, eeprom, fw-env, efivars, rpi-eeprom',
  );
  expect(() => agent('pointer', 'show', '--store', 'uboot-env')).toThrow('expected KIND:PATH');
  expect(() => agent('pointer', 'show', '--store', `uboot-env:${dir}/none`)).toThrow(/none/);
});

it('does not write to what is no EEPROM unless it is told to', () => {
  const words = ['--image', 'alpha', '--disk', 'root', '--imager', '10.0.0.1'];
  for (const [content, fault] of [
    [Buffer.alloc(0x4001), 'it is larger than an EEPROM of 16384 bytes'],
    [Buffer.alloc(0x2001), 'it has 8193 bytes, an EEPROM 16384 (an older one 8192)'],
    [Buffer.alloc(100), 'it has 100 bytes, an EEPROM 16384 (an older one 8192)'],
    [Buffer.alloc(0x2000, 'data '), 'it holds something else than boot pointers of layout uboot-env'],
  ] as const) {
    writeFileSync(eeprom, content);
    expect(() => flash(...words)).toThrow(`was not written: ${fault}`);
    expect(readFileSync(eeprom)).toEqual(content);
  }
  expect(flash(...words, '--force')).toMatch(/new, written and verified/);
});

/** Words, and what `--help` behind them says, as fixtures/agent/help.txt has it. */
const HELP = new Map(
  readFileSync(projectFile('fixtures/agent/help.txt'), 'utf8')
    .split(/^\$ agent (?=.*--help$)/m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n');
      return [part.slice(0, end).replace(/ ?--help$/, ''), part.slice(end + 1)] as const;
    }),
);

describe.each(RUNTIMES)('%s', (runtime) => {
  it('helps with every verb and every group in the same words', async () => {
    const groups = VERBS.flatMap(({ name }) => (name.includes(' ') ? [name.split(' ')[0]!] : []));
    const all = ['', 'supervise', ...new Set(groups), ...VERBS.map(({ name }) => name)];
    expect([...HELP.keys()].sort()).toEqual(all.sort());
    for (const [words, text] of HELP) {
      const args = words.split(' ').filter((word) => word !== '');
      const run = words === 'supervise' ? runAgent : quickVerb;
      expect(await run(runtime, ...args, '--help')).toEqual({ code: 0, out: text, err: '' });
      expect(await run(runtime, 'help', ...args)).toEqual({ code: 0, out: text, err: '' });
    }
  });

  it('says which version it is', async () => {
    const { version } = JSON.parse(readFileSync(projectFile('package.json'), 'utf8'));
    expect(await runAgent(runtime, '--version')).toEqual({
      ...{ code: 0, err: '' },
      out: `agent ${version} (protocol 2, ${runtime})\n`,
    });
  });

  it.each([
    [[], 'no verb was named, and this system is up already: the agent boots nodes as process 1'],
    [['uidd'], 'there is no verb "uidd" (agent --help lists them)'],
    [['keeper'], 'there is no verb "keeper"'],
    [['--json', 'uid'], 'there is no verb "--json"'],
    [
      ['pointer'],
      'pointer what? pointer show, pointer history, pointer verify, pointer set (agent pointer --help)',
    ],
    [['local', 'forget'], 'there is no verb "local forget": local show, local erase (agent local --help)'],
    [['pointer', 'show'], 'pointer show: missing: --store (agent pointer show --help)'],
    [['pointer', 'show', '--store'], '--store: a value is missing'],
    [['pointer', 'show', '--store='], '--store: a value is missing'],
    [
      ['pointer', 'show', '--store', 'spi:/dev/x'],
      '--store spi:/dev/x: expected KIND:PATH, KIND one of uboot-env, ',
    ],
    [
      ['pointer', 'set', '--store', 'eeprom:/x', '--disk', 'd'],
      'pointer set: missing: --image, --imager, --cluster',
    ],
    [['uid', '--loud'], '"--loud" is no option of uid (agent uid --help)'],
    [['uid', '--json=yes'], '--json takes no value'],
    [['uid', 'now'], 'uid: "now" is one word too many'],
    [['local', 'erase', 'lab', 'lab2'], 'local erase: "lab2" is one word too many'],
    [['efi', 'next'], 'efi next: missing: OPTION (agent efi next --help)'],
    [['efi', 'next', '--', '-3'], '-3: expected four hexadecimal digits, like 0003'],
    [['supervise', '--loud'], '"--loud" is no option of supervise (agent supervise --help)'],
  ])('wrong usage, %j: one line on standard error, exit code 2', async (args, words) => {
    const { code, out, err } = await runAgent(runtime, ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(`agent: ${words}`);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  it('a fault of a device is one line on standard error, exit code 1', async () => {
    const { code, out, err } = await runAgent(runtime, 'pointer', 'show', '--store', `eeprom:${dir}`);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^agent: .*\n$/);
  });

  it('tells the resources of this machine, as text and as JSON', async () => {
    const text = await runAgent(runtime, 'resources');
    expect(text).toMatchObject({ code: 0, err: '' });
    expect(text.out).toMatch(/^memory {8}total {2}bytes=\d+$/m);
    const { out } = await runAgent(runtime, 'resources', '--json');
    expect(JSON.parse(out).resources).toContainEqual({
      ...{ kind: 'memory', key: 'total' },
      fields: { bytes: expect.any(Number) },
    });
  });

  it('tells the UID of this machine and what each source says, or how to give it one', async () => {
    const { code, out, err } = await runAgent(runtime, 'uid');
    const { uid, sources } = JSON.parse((await runAgent(runtime, 'uid', '--json')).out);
    expect(out.split('\n')[0]).toBe(uid ?? 'no hardware UID');
    expect(sources.map(({ source }: { source: string }) => source)).toEqual([
      ...[
        'file',
        'smbios-uuid',
        'smbios-product',
        'smbios-board',
        'smbios-chassis',
        'devicetree',
        'tpm',
        'mac',
      ],
    ]);
    expect(code).toBe(uid === null ? 1 : 0);
    if (uid !== null) expect(err).toBe('');
  });
});

it('of a machine without a UID it says what was looked at, and how to give it one', () => {
  class Nameless extends NodeHost {
    override readFile(path: string): Uint8Array {
      return super.readFile(path === '/proc/cmdline' ? path : `/none${path}`);
    }
    override list(path: string): string[] {
      return super.list(path === '/sys/class/net' ? dir : path);
    }
    override exists(path: string): boolean {
      return path !== '/dev/tpm0' && path !== '/dev/tpmrm0' && super.exists(path);
    }
  }
  const { code, out, err } = verbOn(new Nameless(), 'uid');
  expect(code).toBe(1);
  expect(out).toMatch(
    /^no hardware UID\n {2}file {12}- \(there is no \/etc\/bootwright\/uid\)\n {2}smbios-uuid {5}- /,
  );
  expect(err).toBe(
    'agent: this node has no hardware UID: write one to /etc/bootwright/uid, as a UUID or serial:TEXT\n',
  );
  const json = verbOn(new Nameless(), 'uid', '--json');
  const { uid, sources } = JSON.parse(json.out);
  expect([uid, sources.length]).toEqual([null, out.trimEnd().split('\n').length - 1]);
  expect(json).toMatchObject({ code, err });
});

it('an error that nobody foresaw is one line, too', () => {
  class Broken extends NodeHost {
    override readFile(): Uint8Array {
      throw new TypeError('cannot read\nproperties\u001b[2J of undefined');
    }
  }
  expect(verbOn(new Broken() satisfies Host, 'uid')).toEqual({
    ...{ code: 1, out: '' },
    err: 'agent: cannot read properties?[2J of undefined\n',
  });
});
