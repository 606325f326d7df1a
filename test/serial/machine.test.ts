/** What is around the lines: lock files, ports in sysfs, the audit trail, targets, the live table, hellos at a shell. */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { chunkFor, newSession, SerialCaller } from '../../agent/protocol/serial/caller.ts';
import { LiveTable } from '../../imager/cli/serial-table.ts';
import { AuditTrail } from '../../imager/serial/audit.ts';
import { lockPort } from '../../imager/serial/lock.ts';
import { listPorts } from '../../imager/serial/ports.ts';
import type { Identity } from '../../imager/serial/progress.ts';
import { sharedDisk, targetFor } from '../../imager/serial/target.ts';

const UID = '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001';
const IDENTITY: Identity = { via: 'frames', uid: UID, layout: 'uboot-env', firmware: 'stub', locked: false };
const POINTER: BootPointer = {
  ...{ sequence: 1, image: 'a', disks: ['d'], imagers: ['10.0.0.1'], cluster: 'c' },
  ...{ deployment: 'x', phase: 'deploy', attempts: 3, fallback: '' },
};

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'serial-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('lock files', () => {
  const port = () => {
    const path = join(dir, 'ttyX');
    writeFileSync(path, '');
    return path;
  };
  const fileOf = (path: string) => join(dir, `LCK..${path.replaceAll('/', '_')}`);

  it('name who has the port, until it is given back', () => {
    const path = port();
    const unlock = lockPort(path, dir);
    expect(readFileSync(fileOf(path), 'latin1')).toBe(`${String(process.pid).padStart(10)}\n`);
    expect(() => lockPort(path, dir)).toThrow(`in use by process ${process.pid}`);
    unlock();
    const second = lockPort(path, dir);
    // Given back twice, it is not taken from the next one.
    unlock();
    expect(() => lockPort(path, dir)).toThrow('in use');
    second();
  });

  it('a link is its port', () => {
    const path = port();
    symlinkSync(path, join(dir, 'link'));
    lockPort(join(dir, 'link'), dir);
    expect(() => lockPort(path, dir)).toThrow('in use');
  });

  it('of a program that is gone, or with nonsense in it, are taken over', () => {
    const path = port();
    const { pid } = spawnSync('true');
    for (const left of [`${pid}\n`, 'nonsense']) {
      writeFileSync(fileOf(path), left);
      lockPort(path, dir)();
    }
  });

  it('there is none where the folder is not there; a port that is not there is said', () => {
    lockPort(port(), join(dir, 'nowhere'))();
    expect(() => lockPort(join(dir, 'ttyY'), dir)).toThrow('there is no port');
  });
});

it('ports are those with a device and a driver, numbers by value, with the names that stay', () => {
  const [sys, dev] = [join(dir, 'sys'), join(dir, 'dev')];
  const add = (name: string, driver?: string, type?: string) => {
    mkdirSync(join(sys, name, driver === undefined ? '' : 'device'), { recursive: true });
    if (driver !== undefined) symlinkSync(`../../drivers/${driver}`, join(sys, name, 'device/driver'));
    if (type !== undefined) writeFileSync(join(sys, name, 'type'), `${type}\n`);
  };
  add('ttyUSB10', 'ftdi_sio');
  add('ttyUSB9', 'ftdi_sio');
  add('ttyS0', 'serial8250', '4');
  add('ttyS1', 'serial8250', '0');
  add('tty1');
  mkdirSync(join(dev, 'serial/by-id'), { recursive: true });
  writeFileSync(join(dev, 'ttyUSB9'), '');
  symlinkSync('../../ttyUSB9', join(dev, 'serial/by-id/usb-FTDI_A1'));
  expect(listPorts(sys, dev)).toEqual([
    { path: join(dev, 'ttyS0'), driver: 'serial8250', id: null },
    { path: join(dev, 'ttyUSB9'), driver: 'ftdi_sio', id: join(dev, 'serial/by-id/usb-FTDI_A1') },
    { path: join(dev, 'ttyUSB10'), driver: 'ftdi_sio', id: null },
  ]);
  expect(listPorts(join(dir, 'none'), dev)).toEqual([]);
});

it('the audit trail only grows; a line that a power cut tore is passed over, and none is joined to it', () => {
  const trail = new AuditTrail(join(dir, 'state'));
  expect(trail.lastVerified(UID)).toBeUndefined();
  const entry = { port: '/dev/x', uid: UID, via: 'frames' as const, old: null, new: POINTER };
  trail.append({ ...entry, event: 'begun' });
  expect(trail.lastVerified(UID)).toBeUndefined();
  trail.append({ ...entry, event: 'verified' });
  appendFileSync(trail.path, '{"at":"2026-');
  trail.append({ ...entry, event: 'verified', new: { ...POINTER, image: 'b' } });
  trail.append({ ...entry, event: 'failed', new: { ...POINTER, image: 'c' }, why: 'cut' });
  expect(trail.entries().map(({ event, new: { image } }) => [event, image])).toEqual([
    ['begun', 'a'],
    ['verified', 'a'],
    ['verified', 'b'],
    ['failed', 'c'],
  ]);
  expect(trail.lastVerified(UID)?.image).toBe('b');
  expect(trail.lastVerified('')).toBeUndefined();
});

it('targets take the node in', () => {
  const nameOf = (uid: string) => (uid === UID ? 'n1' : undefined);
  const fill = (disk: string, identity = IDENTITY) =>
    targetFor({ image: 'i', disks: [disk] }, identity, nameOf).disks;
  expect(fill('{node}-root')).toEqual(['n1-root']);
  expect(fill('{uid}')).toEqual([UID]);
  expect(fill('plain')).toEqual(['plain']);
  expect(sharedDisk({ disks: ['{node}-root', 'data'] }, 2)).toBe('data');
  expect(sharedDisk({ disks: ['{node}-root', '{uid}'] }, 8)).toBeUndefined();
  expect(sharedDisk({ disks: ['root'] }, 1)).toBeUndefined();
  expect(() => fill('{name}')).toThrow('no {name}');
  expect(() => fill('{node}', { ...IDENTITY, uid: 'serial:x' })).toThrow(
    'no node of the configuration has UID serial:x',
  );
  expect(() => fill('{uid}', { ...IDENTITY, uid: '' })).toThrow('does not tell its UID');
});

describe('the live table', () => {
  const play = (isTTY: boolean, columns = 80) => {
    let said = '';
    let now = 0;
    const table = new LiveTable(
      ['/dev/a', '/dev/b'],
      { isTTY, columns, write: (text) => (said += text) },
      () => now,
    );
    table.progress('/dev/a', { step: 'waiting' });
    table.progress('/dev/a', { step: 'found', identity: { ...IDENTITY, firmware: 'x\x1b[2J' } });
    for (let done = 0; done < 100; done += 10) {
      table.progress('/dev/a', { step: 'reading', done, total: 100 });
      now += 30;
    }
    table.ended('/dev/a', 'done');
    table.ended('/dev/b', 'failed: the port is gone');
    table.close();
    return said;
  };

  it('is drawn in place on a terminal, not with each byte', () => {
    const said = play(true);
    const screens = said.split('\x1b[3A\x1b[J');
    expect(screens.length).toBeGreaterThan(5);
    expect(screens.length).toBeLessThan(12);
    expect(screens.at(-1)).toBe(
      [
        'PORT    NODE                                  STATE',
        `/dev/a  ${UID}  done`,
        `/dev/b  -${' '.repeat(37)}failed: the port is gone`,
        '',
      ].join('\n'),
    );
    for (const screen of play(true, 20).split('\x1b[3A\x1b[J')) expect(screen).not.toMatch(/^.{21}/m);
  });

  it('is plain lines elsewhere, one a step', () => {
    expect(play(false)).toBe(
      [
        '/dev/a: waiting for an answer',
        `/dev/a: found ${UID}`,
        '/dev/a: reading',
        '/dev/a: done',
        '/dev/b: failed: the port is gone',
        '',
      ].join('\n'),
    );
  });
});

describe('the technician’s end', () => {
  it('a hello that reaches a shell presses no key that does something', () => {
    for (let i = 0; i < 5000; i++) {
      const session = newSession(Math.random);
      let sent: Uint8Array = new Uint8Array();
      const caller = new SerialCaller({ baud: 115_200, session, send: (bytes) => (sent = bytes) });
      caller.ask({ op: 'hello', version: 1 }, 0, 1);
      const keys = [...sent].filter((byte) => [3, 4, 8, 10, 13, 17, 19, 26, 27, 28, 127].includes(byte));
      expect(keys, `session ${session}`).toEqual([]);
    }
  });

  it('frames fit the baud rate', () => {
    expect([300, 9600, 115_200, 921_600].map(chunkFor)).toEqual([16, 38, 460, 512]);
  });
});
