/** What the agent keeps on the node's disk: journal, plan and scripts; and what identifies the node. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../agent/core/state.ts';
import { HostError } from '../../agent/linux/host.ts';
import { openJournal } from '../../agent/linux/journal.ts';
import { openOutputs } from '../../agent/linux/outputs.ts';
import { scriptRunner } from '../../agent/linux/scripts.ts';
import { readUid } from '../../agent/linux/uid.ts';
import { encodeFrame, FrameReader, MAX_AGENT_FRAME } from '../../agent/protocol/frame.ts';
import type { Plan, Script } from '../../agent/protocol/messages.ts';
import { OUTPUT_BYTES, type ScriptOutput } from '../../agent/protocol/output.ts';
import { RootedHost } from '../fakes/rooted-host.ts';
import { eventually } from '../support/eventually.ts';

const POINTER = {
  sequence: 8,
  image: 'beta',
  disks: ['root'],
  imagers: ['10.0.0.1'],
  cluster: 'one',
  deployment: 'd1',
  phase: 'deploy' as const,
  attempts: 3,
  fallback: '',
};

const script = (name: string, content: string, timeoutSeconds = 10): Script => ({
  name,
  stage: 1,
  content,
  timeoutSeconds,
  run: 'once',
  onFailure: 'retry',
});

const planOf = (...scripts: Script[]): Plan => ({
  deployment: 'd1',
  secondReboot: true,
  scripts,
  services: { init: ['/sbin/init'], ports: [], timeoutSeconds: 1 },
});

const JOURNAL: Journal = { deployment: 'd1', phase: 'installed', bootId: 'b1', done: [], failed: [] };

let host: RootedHost;
beforeEach(() => {
  host = new RootedHost(mkdtempSync(join(tmpdir(), 'disk-')));
});
afterEach(() => rmSync(host.root, { recursive: true }));

describe('the journal', () => {
  it('an untouched disk knows nothing', () => {
    expect(openJournal(host, () => undefined).read('d1')).toBeUndefined();
  });

  it('reads back what was installed, then what was written', () => {
    const plan = planOf(script('10-a', '#!/bin/sh\ntrue\n'));
    openJournal(host, () => undefined).install(plan, JOURNAL);
    expect(openJournal(host, () => undefined).read('d1')).toEqual({ plan, journal: JOURNAL });
    const later: Journal = { ...JOURNAL, phase: 'configured', bootId: 'b2', done: ['10-a'] };
    openJournal(host, () => undefined).write(later);
    expect(openJournal(host, () => undefined).read('d1')).toEqual({ plan, journal: later });
    expect(statSync(join(host.root, 'var/lib/bootwright/scripts/10-a')).mode & 0o777).toBe(0o755);
  });

  it('a plan whose journal did not get written any more counts for nothing', () => {
    openJournal(host, () => undefined).install(planOf(), JOURNAL);
    const broken = new RootedHost(host.root);
    broken.replaceFile = (path, bytes, mode) => {
      if (path.endsWith('journal.json')) throw new Error('power cut');
      RootedHost.prototype.replaceFile.call(broken, path, bytes, mode);
    };
    const next = { ...planOf(), deployment: 'd2' };
    expect(() =>
      openJournal(broken, () => undefined).install(next, { ...JOURNAL, deployment: 'd2' }),
    ).toThrow('power cut');
    expect(openJournal(host, () => undefined).read('d1')).toBeUndefined();
    expect(openJournal(host, () => undefined).read('d2')).toBeUndefined();
  });

  it('of an agent that knew nothing of failed scripts is read', () => {
    openJournal(host, () => undefined).install(planOf(), JOURNAL);
    const former = { deployment: 'd1', phase: 'serving', bootId: 'b3', done: ['10-a'] };
    writeFileSync(join(host.root, 'var/lib/bootwright/journal.json'), JSON.stringify(former));
    expect(openJournal(host, () => undefined).read('d1')?.journal).toEqual({ ...former, failed: [] });
  });

  it.each([{ failed: 'x' }, { running: 5 }, { done: [5] }])('damage in it is said: %j', (change) => {
    openJournal(host, () => undefined).install(planOf(), JOURNAL);
    writeFileSync(
      join(host.root, 'var/lib/bootwright/journal.json'),
      JSON.stringify({ ...JOURNAL, ...change }),
    );
    expect(() => openJournal(host, () => undefined).read('d1')).toThrow('journal.json is damaged');
  });

  it('damage is said, not taken for absence', () => {
    openJournal(host, () => undefined).install(planOf(), JOURNAL);
    writeFileSync(join(host.root, 'var/lib/bootwright/journal.json'), '{"deployment":"d1"}');
    expect(() => openJournal(host, () => undefined).read('d1')).toThrow(
      'journal.json is damaged: {"deployment":"d1"}',
    );
  });
});

describe('scripts', () => {
  const run = (content: string, timeoutSeconds = 10) => {
    const one = script('10-a', content, timeoutSeconds);
    openJournal(host, () => undefined).install(planOf(one), JOURNAL);
    return scriptRunner(host).run(one, POINTER, 'alpha');
  };
  const ended = (output: string, code = 0) => ({ code, timedOut: false, output });

  it('run with the deployment in their environment', async () => {
    const text = 'echo $BOOTWRIGHT_STAGE $BOOTWRIGHT_IMAGE $BOOTWRIGHT_CLUSTER $BOOTWRIGHT_DEPLOYMENT';
    expect(await run(`#!/bin/sh\n${text}\n`)).toEqual(ended('1 alpha one d1\n'));
    expect(await run(`${text}\n`)).toEqual(ended('1 alpha one d1\n'));
  });

  it('end with what they said and their exit code', async () => {
    expect(await run('echo a; echo b >&2; exit 3\n')).toEqual(ended('a\nb\n', 3));
    expect(await run('exit 4\n')).toEqual(ended('', 4));
    expect(await run('kill -TERM $$\n')).toEqual(ended('', 128 + 15));
  });

  it('one that does not end is ended with all its process group; what it said until then is there', async () => {
    const text = 'sh -c "echo \\$\\$; exec sleep 60" &\necho waiting\nwait\n';
    const { code, timedOut, output } = await run(text, 0.5);
    expect([code, timedOut, output]).toEqual([137, true, expect.stringMatching(/^waiting$/m)]);
    const child = Number(/^\d+$/m.exec(output)?.[0]);
    expect(child).toBeGreaterThan(1);
    await eventually(() => expect(isAlive(child)).toBe(false));
  });

  it('one that cannot be started has failed, as in a shell', async () => {
    const { code, output } = await run('#!/no/such/interpreter\n');
    expect([code, output]).toEqual([127, expect.stringContaining('10-a')]);
  });

  it('of a long output the end is kept, however its bytes read', async () => {
    const { output } = await run('head -c 100000 /dev/zero | tr "\\0" "\\377"; echo end\n');
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(OUTPUT_BYTES);
    expect(Buffer.byteLength(output)).toBeGreaterThan(OUTPUT_BYTES - 8);
    expect(output.endsWith('\ufffdend\n')).toBe(true);
  });
});

/** A zombie is dead. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('outputs', () => {
  const left = (name: string, output: string): ScriptOutput => ({
    ...{ script: name, deployment: 'd1', bootId: 'b2', stage: 1, code: 3, timedOut: false },
    ...{ began: 2.5, took: 0.125, output },
  });
  const file = (name: string) => join(host.root, 'var/lib/bootwright/output', name);
  const plan = planOf(script('20-b', ''), script('10-a', ''), script('30-c', ''));

  it('are files of the names of their scripts: how it ended, then what it said', () => {
    openOutputs(host).keep(left('10-a', 'one\ntwo\n'));
    expect(readFileSync(file('10-a'), 'utf8')).toBe(
      '{"deployment":"d1","bootId":"b2","stage":1,"code":3,"timedOut":false,"began":2.5,"took":0.125}\none\ntwo\n',
    );
    expect(statSync(file('10-a')).mode & 0o777).toBe(0o600);
  });

  it('come back in the order of the plan, the last of each script, of its deployment alone', () => {
    const outputs = openOutputs(host);
    expect(outputs.kept(plan)).toEqual([]);
    outputs.keep(left('10-a', 'first\n'));
    outputs.keep(left('10-a', 'no end of line'));
    outputs.keep(left('20-b', ''));
    outputs.keep({ ...left('30-c', ''), deployment: 'd0' });
    outputs.keep(left('99-not-in-the-plan', ''));
    expect(openOutputs(host).kept(plan)).toEqual([left('20-b', ''), left('10-a', 'no end of line')]);
  });

  it.each(['', 'x', '{"deployment":"d1"}\n', '\n\n', `{}\n${'x'.repeat(70_000)}`])(
    'damage is passed over: %#',
    (text) => {
      const outputs = openOutputs(host);
      outputs.keep(left('10-a', 'x'));
      outputs.keep(left('20-b', 'x'));
      writeFileSync(file('10-a'), text);
      expect(outputs.kept(plan)).toEqual([left('20-b', 'x')]);
    },
  );

  it('one that the disk gives back no more is passed over', () => {
    const outputs = openOutputs(host);
    for (const name of ['10-a', '20-b']) outputs.keep(left(name, 'x'));
    const failing = new RootedHost(host.root);
    failing.readFile = (path) => {
      if (path.endsWith('10-a')) throw new HostError('EIO', `read ${path}: Input/output error`);
      return RootedHost.prototype.readFile.call(failing, path);
    };
    expect(openOutputs(failing).kept(plan)).toEqual([left('20-b', 'x')]);
  });

  it('what comes back fits into a frame, whatever the bytes on the disk are', () => {
    const outputs = openOutputs(host);
    outputs.keep(left('10-a', '\u00e9'.repeat(OUTPUT_BYTES / 2)));
    outputs.keep(left('20-b', ''));
    const ending = readFileSync(file('20-b'));
    writeFileSync(file('20-b'), Buffer.concat([ending, Buffer.alloc(60_000, 0xff)]));
    const kept = outputs.kept(plan);
    expect(kept.map(({ script }) => script)).toEqual(['10-a']);
    const frames = kept.flatMap((each) =>
      new FrameReader(MAX_AGENT_FRAME).push(encodeFrame({ type: 'output', ...each })),
    );
    expect(frames).toHaveLength(1);
  });

  it('one whose write was cut short leaves the one before', () => {
    openOutputs(host).keep(left('10-a', 'before'));
    writeFileSync(`${file('10-a')}.new`, '{"deploy');
    expect(openOutputs(host).kept(plan)).toEqual([left('10-a', 'before')]);
    openOutputs(host).keep(left('10-a', 'after'));
    expect(openOutputs(host).kept(plan)).toEqual([left('10-a', 'after')]);
  });
});

describe('the UID', () => {
  const put = (path: string, content: string) => {
    mkdirSync(join(host.root, path, '..'), { recursive: true });
    writeFileSync(join(host.root, path), content);
  };

  it('from a file, else SMBIOS, else the device tree', () => {
    put('proc/cmdline', 'quiet\n');
    expect(() => readUid(host)).toThrow(
      'as a UUID or serial:TEXT\n  file: there is no /etc/bootwright/uid\n  smbios-uuid: ',
    );
    put('sys/firmware/devicetree/base/serial-number', '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601\0');
    expect(readUid(host)).toBe('6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601');
    put('sys/firmware/devicetree/base/serial-number', 'SN0042\0');
    expect(readUid(host)).toBe('serial:sn0042');
    put('sys/class/dmi/id/product_serial', 'AB-7\n');
    expect(readUid(host)).toBe('serial:ab-7');
    put('sys/class/dmi/id/product_uuid', '00000000-0000-0000-0000-000000000000\n');
    expect(readUid(host)).toBe('serial:ab-7');
    put('etc/bootwright/uid', 'serial:rack7-3\n');
    expect(readUid(host)).toBe('serial:rack7-3');
  });
});
