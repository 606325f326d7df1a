/** The cable of a rig's node: a pty, opened through npm serialport. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, open as openFile } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { SerialCable } from '../../firmware-stubs/rig/cable.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { type Line, openPort } from '../../imager/serial/port.ts';

const open: Line[] = [];
let cable: SerialCable | undefined;
afterEach(async () => {
  await Promise.all(open.splice(0).map((line) => line.close()));
  await cable?.pull();
});

/** Bytes as they come; `until` resolves when there are so many. */
class Heard {
  #bytes = Buffer.alloc(0);
  #waiting: { length: number; resolve: (bytes: Buffer) => void } | undefined;

  push(bytes: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#waiting !== undefined && this.#bytes.length >= this.#waiting.length)
      this.#waiting.resolve(this.#bytes);
  }

  until(length: number): Promise<Buffer> {
    if (this.#bytes.length >= length) return Promise.resolve(this.#bytes);
    return new Promise((resolve) => {
      this.#waiting = { length, resolve };
    });
  }
}

async function openAt(port: string): Promise<{ line: Line; heard: Heard }> {
  const heard = new Heard();
  const line = await openPort(port, 115_200);
  open.push(line);
  line.onData((bytes) => heard.push(bytes));
  return { line, heard };
}

/** Sends `byte` until it is heard: the cable takes a moment to see that somebody listens. */
async function untilHeard(heard: Heard, byte: string): Promise<void> {
  let there = false;
  const first = heard.until(1).then(() => {
    there = true;
  });
  const knock = setInterval(() => there || cable!.send(Buffer.from(byte)), 5);
  await first;
  clearInterval(knock);
}

test('every byte goes both ways, in order, whatever it is', async () => {
  const said = new Heard();
  cable = await SerialCable.plug((bytes) => said.push(bytes));
  const { line, heard } = await openAt(cable.port);
  await untilHeard(heard, 'K');
  const [there, back] = [randomBytes(300_000), randomBytes(300_000)];
  // Told from the knocks before it.
  back[0] = 0;
  // In pieces: a UART has them one after the other, and so does the pty.
  for (let at = 0; at < there.length; at += 1000) line.write(there.subarray(at, at + 1000));
  for (let at = 0; at < back.length; at += 777) cable.send(back.subarray(at, at + 777));
  expect((await said.until(there.length)).equals(there)).toBe(true);
  const knocks = /^K*/.exec((await heard.until(1)).toString('latin1'))![0].length;
  expect((await heard.until(knocks + back.length)).subarray(knocks).equals(back)).toBe(true);
});

test('what is said while nobody listens is lost, and the port stays', async () => {
  const program = spawn(projectFile('dist/firmware-stubs/rig/cable'));
  const [name] = (await once(program.stderr, 'data')) as [Buffer];
  const port = name.toString().trim();
  for (const round of ['a', 'b', 'c']) {
    // More than its pipe holds: once all of it is in there, the beginning has been read, and nobody had the port open.
    const old = Buffer.concat([Buffer.from('old'), Buffer.alloc(1_000_000, 'x')]);
    await new Promise((written) => program.stdin.write(old, written));
    const { line, heard } = await openAt(port);
    const knock = setInterval(() => program.stdin.write(round), 5);
    const said = await heard.until(1);
    clearInterval(knock);
    expect(said.toString()).toMatch(new RegExp(`^x*${round}*$`));
    await line.close();
    open.splice(0);
  }
  program.stdin.end();
  expect(await once(program, 'exit')).toEqual([0, null]);
});

/** A port that was opened, of which one byte was read and nothing more, though more is there. */
async function openUnread(program: ReturnType<typeof spawn>, port: string): Promise<FileHandle> {
  const opened = await openFile(port, constants.O_RDWR | constants.O_NOCTTY);
  const knock = setInterval(() => program.stdin!.write(Buffer.alloc(1000, 'x')), 5);
  await opened.read(Buffer.alloc(1), 0, 1, null);
  clearInterval(knock);
  return opened;
}

test('what one opener left unread the next one does not get', async () => {
  const program = spawn(projectFile('dist/firmware-stubs/rig/cable'));
  const [name] = (await once(program.stderr, 'data')) as [Buffer];
  const port = name.toString().trim();
  await (await openUnread(program, port)).close();
  // More than its pipe holds: once all of it is in there, the cable has seen that the port is closed.
  await new Promise((written) => program.stdin.write(Buffer.alloc(1_000_000, 'y'), written));
  // Not with serialport, which drops what it finds when it opens a port.
  const opened = await openFile(port, constants.O_RDWR | constants.O_NOCTTY);
  const knock = setInterval(() => program.stdin.write('z'), 5);
  const { buffer, bytesRead } = await opened.read(Buffer.alloc(1000), 0, 1000, null);
  clearInterval(knock);
  expect(buffer.toString('latin1', 0, bytesRead)).toMatch(/^y*z*$/);
  await opened.close();
  program.kill('SIGKILL');
  await once(program, 'exit');
});

test('ends with its standard input, though a port is open that nobody reads', async () => {
  const program = spawn(projectFile('dist/firmware-stubs/rig/cable'));
  const [name] = (await once(program.stderr, 'data')) as [Buffer];
  const opened = await openUnread(program, name.toString().trim());
  // More than it has room for: what it cannot write keeps it from reading.
  program.stdin.write(Buffer.alloc(1_000_000, 'x'));
  const ended = once(program, 'exit');
  program.stdin.destroy();
  expect(await ended).toEqual([0, null]);
  await opened.close();
});

test('a cable that is pulled takes the port along', async () => {
  cable = await SerialCable.plug(() => {});
  const { line, heard } = await openAt(cable.port);
  await untilHeard(heard, 'K');
  const gone = new Promise<string>((resolve) => line.onGone(resolve));
  await cable.pull();
  expect(await gone).not.toBe('');
  await expect(openPort(cable.port, 115_200)).rejects.toThrow(/there is no port|cannot be opened/);
});
