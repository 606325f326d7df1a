/** What a technician's tool sees of a local store on a serial line: nothing, and what it writes leaves it alone. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLocalStore } from '../../agent/linux/local-store.ts';
import { SERIAL_VERSION, type SerialRequest } from '../../agent/protocol/serial/operations.ts';
import { openPort } from '../../imager/serial/port.ts';
import { runOnLine } from '../../imager/serial/run.ts';
import { type Got, type Task, wait } from '../../imager/serial/task.ts';
import { flash, withNode } from '../../imager/serial/work.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { openBootLab } from '../firmware/boot-lab.ts';
import { definitionOf } from './definitions.ts';

const IN_TIME = 120_000;

let boot: Awaited<ReturnType<typeof openBootLab>>;
beforeAll(async () => {
  boot = await openBootLab('x86', { firmware: 'bios-stub', listenMilliseconds: 60_000, serial: 'pty' });
}, IN_TIME);
afterAll(() => boot?.close());

test('the BIOS stub shows the slots of the boot pointer, flashes them, and nothing behind them', {
  timeout: IN_TIME,
}, async () => {
  const store = () => openLocalStore(new QuietHost(), { layout: 'eeprom', device: boot.eeprom })!;
  writeFileSync(boot.eeprom, new Uint8Array(8192));
  store().define(definitionOf(1));
  const behind = readFileSync(boot.eeprom).subarray(2048);
  const line = await openPort(boot.node.serialPort, 115_200);
  await boot.node.powerOn();
  const ask = function* (request: SerialRequest): Task<Got> {
    return yield* wait({ request, tries: 200 });
  };
  const options = { baud: 115_200, tell: () => {} };
  const seen = await runOnLine(line, {
    ...options,
    *task() {
      return [
        yield* ask({ op: 'hello', version: SERIAL_VERSION }),
        yield* ask({ op: 'read', offset: 2048, length: 64, most: 64 }),
        yield* ask({ op: 'read', offset: 2000, length: 64, most: 64 }),
        yield* ask({ op: 'commit', offset: 2048, length: 16, crc: 0 }),
      ];
    },
  });
  expect(seen).toMatchObject([
    { answer: { op: 'hello', size: 2048 } },
    ...Array(3).fill({ answer: { op: 'refused', code: 'request', why: 'out of range' } }),
  ]);
  await line.close();

  const second = await openPort(boot.node.serialPort, 115_200);
  await runOnLine(second, {
    ...options,
    task: (state) =>
      withNode(state, { withinMs: 60_000, uboot: true }, (end) =>
        flash(end, {
          target: () => ({ image: 'beta', disks: ['d'], imagers: ['10.77.0.1'], cluster: 'one' }),
          ...{ deployment: 'd2', again: true, dryRun: false, reset: false },
        }),
      ),
  });
  await second.close();
  await boot.node.cutPower();
  expect(readFileSync(boot.eeprom).subarray(2048)).toEqual(behind);
  expect(readFileSync(boot.eeprom).subarray(0, 2048).includes('beta')).toBe(true);
  expect(store().read().definitions).toEqual([definitionOf(1)]);
});
