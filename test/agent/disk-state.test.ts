/** What the agent keeps on the node's disk: journal, plan and scripts; and what identifies the node. */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../agent/core/state.ts';
import { openJournal } from '../../agent/linux/journal.ts';
import { scriptRunner } from '../../agent/linux/scripts.ts';
import { readUid } from '../../agent/linux/uid.ts';
import type { Plan, Script } from '../../agent/protocol/messages.ts';
import { RootedHost } from '../fakes/rooted-host.ts';

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
});

const planOf = (...scripts: Script[]): Plan => ({
  deployment: 'd1',
  secondReboot: true,
  scripts,
  services: { init: ['/sbin/init'], ports: [], timeoutSeconds: 1 },
});

const JOURNAL: Journal = { deployment: 'd1', phase: 'installed', bootId: 'b1', done: [] };

let host: RootedHost;
beforeEach(() => {
  host = new RootedHost(mkdtempSync(join(tmpdir(), 'disk-')));
});
afterEach(() => rmSync(host.root, { recursive: true }));

describe('the journal', () => {
  it('an untouched disk knows nothing', () => {
    expect(openJournal(host).read('d1')).toBeUndefined();
  });

  it('reads back what was installed, then what was written', () => {
    const plan = planOf(script('10-a', '#!/bin/sh\ntrue\n'));
    openJournal(host).install(plan, JOURNAL);
    expect(openJournal(host).read('d1')).toEqual({ plan, journal: JOURNAL });
    const later: Journal = { ...JOURNAL, phase: 'configured', bootId: 'b2', done: ['10-a'] };
    openJournal(host).write(later);
    expect(openJournal(host).read('d1')).toEqual({ plan, journal: later });
    expect(statSync(join(host.root, 'var/lib/bootwright/scripts/10-a')).mode & 0o777).toBe(0o755);
  });

  it('a plan whose journal did not get written any more counts for nothing', () => {
    openJournal(host).install(planOf(), JOURNAL);
    const broken = new RootedHost(host.root);
    broken.replaceFile = (path, bytes, mode) => {
      if (path.endsWith('journal.json')) throw new Error('power cut');
      RootedHost.prototype.replaceFile.call(broken, path, bytes, mode);
    };
    const next = { ...planOf(), deployment: 'd2' };
    expect(() => openJournal(broken).install(next, { ...JOURNAL, deployment: 'd2' })).toThrow('power cut');
    expect(openJournal(host).read('d1')).toBeUndefined();
    expect(openJournal(host).read('d2')).toBeUndefined();
  });

  it('damage is said, not taken for absence', () => {
    openJournal(host).install(planOf(), JOURNAL);
    writeFileSync(join(host.root, 'var/lib/bootwright/journal.json'), '{"deployment":"d1"}');
    expect(() => openJournal(host).read('d1')).toThrow('journal.json is damaged: {"deployment":"d1"}');
  });
});

describe('scripts', () => {
  const run = (content: string, timeoutSeconds = 10) => {
    const one = script('10-a', content, timeoutSeconds);
    openJournal(host).install(planOf(one), JOURNAL);
    return scriptRunner(host).run(one, POINTER);
  };

  it('run with the deployment in their environment', async () => {
    const out = join(host.root, 'out');
    const text = `echo $BOOTWRIGHT_STAGE $BOOTWRIGHT_IMAGE $BOOTWRIGHT_CLUSTER $BOOTWRIGHT_DEPLOYMENT > ${out}`;
    expect(await run(`#!/bin/sh\n${text}\n`)).toBeUndefined();
    expect(new TextDecoder().decode(host.readFile('out'))).toBe('1 beta one d1\n');
    expect(await run(`${text}\n`)).toBeUndefined();
  });

  it('a failing one is reported with its exit code and the end of its output', async () => {
    expect(await run('echo a; echo b; echo c; echo d >&2; exit 3\n')).toBe('exit 3; b | c | d');
    expect(await run('exit 4\n')).toBe('exit 4; no output');
  });

  it('one that does not end is ended', async () => {
    expect(await run('echo waiting; exec sleep 60\n', 0.2)).toBe('no end within 0.2 s; waiting');
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
      'no hardware UID (file: there is no /etc/bootwright/uid; smbios-uuid: ',
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
