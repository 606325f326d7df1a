/** A node of the rig whose machine is a stand-in: a program that reads nothing and ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { InsideProcess } from '../../firmware-stubs/rig/inside.ts';
import { RigNode } from '../../firmware-stubs/rig/node.ts';

test('keys that are under way when the power goes are lost, and nothing else', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'node-'));
  const child = spawn('sleep', ['600'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const node = new RigNode(
    { name: 'n1', rig: 'arm64', mac: '52:54:00:00:00:01', uid: 'serial:1', eeprom: join(dir, 'eeprom') },
    {
      start: () => new InsideProcess(child),
      ...{ tap: 'tap0', flash: join(dir, 'flash'), serialLog: join(dir, 'serial.log'), imagerLog: () => '' },
    },
  );
  await node.powerOn();
  // More than a pipe holds.
  node.type(Buffer.alloc(10_000_000, 'x'));
  child.kill('SIGKILL');
  await closed;
  expect(node.powered).toBe(false);
  rmSync(dir, { recursive: true });
});
