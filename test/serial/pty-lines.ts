/** Serial lines as pairs of real ptys (socat), with a simulated node at the far end, opened through npm serialport. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import { SimulatedSerialNode } from '../../firmware-stubs/simulated/serial-node.ts';
import { type Line, openPort } from '../../imager/serial/port.ts';
import type { Ended } from '../support/imager-verbs.ts';

/** A cable: `near` is the technician's port. */
export class Cable {
  readonly near: string;
  readonly far: Line;
  readonly #socat: ChildProcess;

  private constructor(near: string, far: Line, socat: ChildProcess) {
    this.near = near;
    this.far = far;
    this.#socat = socat;
  }

  static async plug(dir: string, name: string): Promise<Cable> {
    const [near, far] = [join(dir, `tty-${name}`), join(dir, `node-${name}`)];
    const end = (link: string) => `PTY,link=${link},raw,echo=0`;
    const socat = spawn('socat', [end(near), end(far)], { stdio: 'ignore' });
    while (!existsSync(near) || !existsSync(far)) {
      if (socat.exitCode !== null) throw new Error(`socat ended with ${socat.exitCode}`);
      await sleep(5);
    }
    return new Cable(near, await openPort(far, 115_200), socat);
  }

  /** Both ends are gone at once. */
  pull(): void {
    this.#socat.kill('SIGKILL');
  }

  async close(): Promise<void> {
    await this.far.close();
    if (this.#socat.exitCode !== null || this.#socat.signalCode !== null) return;
    const ended = once(this.#socat, 'exit');
    this.#socat.kill('SIGKILL');
    await ended;
  }
}

export interface NodeOptions {
  uid: string;
  image?: Uint8Array;
  locked?: boolean;
  /** Called before each chunk that comes to it. */
  onChunk?: () => void;
}

/** A node at the far end of `cable`; its store is `image`. */
export function attachNode(cable: Cable, options: NodeOptions): SimulatedSerialNode {
  const { uid, image = new Uint8Array(ubootEnv.size), locked = false, onChunk } = options;
  const send = (bytes: Uint8Array) => cable.far.write(bytes);
  const node = new SimulatedSerialNode({ uid, layout: ubootEnv, image, locked, send });
  node.start();
  cable.far.onData((bytes) => {
    onChunk?.();
    node.receive(bytes);
  });
  return node;
}

/** Runs the imager's command line to its end, in `dir`. Calls `onLine` with each line of its progress. */
export function runImager(
  program: string,
  dir: string,
  args: readonly string[],
  onLine: (line: string) => void = () => {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: dir, env: { PATH: process.env.PATH ?? '', HOME: dir } };
    const child = execFile(
      process.execPath,
      [program, 'serial', ...args],
      options,
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
    if (child.stderr !== null) createInterface(child.stderr).on('line', onLine);
    child.stdin?.end();
  });
}

/**
 * Runs a verb of the imager's command line on a node of the rig, through its serial port, in `dir`: the node is switched on
 * when the tool waits for it. `at`: what is done when the tool says that.
 */
export function runOnNode(
  program: string,
  node: RigNode,
  dir: string,
  [verb = '', ...more]: readonly string[],
  at: Readonly<Record<string, () => Promise<void>>> = {},
): Promise<Ended> {
  const steps = { 'waiting for an answer': () => node.powerOn(), ...at };
  return runImager(program, dir, [verb, '--port', node.serialPort, '--wait', '60', ...more], (line) => {
    for (const [step, act] of Object.entries(steps)) if (line.endsWith(`: ${step}`)) void act();
  });
}
