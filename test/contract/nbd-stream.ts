/** What every implementation of a connection's byte stream does, tried against Node's own sockets. */
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { FilePart } from '../../imager/disks/disk.ts';
import type { Stream } from '../../imager/nbd/stream.ts';
import { eventually } from '../support/eventually.ts';

const MIB = 2 ** 20;

/** `hasFiles`: it can send parts of files. */
export function streamContract(name: string, make: (socket: Socket) => Stream, hasFiles: boolean): void {
  describe(name, () => {
    let server: Server;
    let peer: Socket;
    let stream: Stream;
    let said: (string | undefined)[];
    let came: Buffer[];

    beforeEach(async () => {
      server = createServer({ pauseOnConnect: true });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
      peer.on('error', () => {});
      stream = make((await accepted)[0]);
      said = [];
      came = [];
    });
    afterEach(async () => {
      stream.destroy();
      peer.destroy();
      await new Promise((resolve) => server.close(resolve));
    });

    const listen = (receive: (bytes: Buffer) => void = (bytes) => came.push(Buffer.from(bytes))): void => {
      // What an earlier stream has to say yet is not this test's.
      const words = said;
      stream.listen({
        receive,
        drained: () => words.push('drained'),
        ended: (error) => words.push(error === undefined ? 'ended' : error.code),
        closed: () => words.push('closed'),
      });
    };
    const received = async (length: number): Promise<Buffer> => {
      await vi.waitFor(() => expect(Buffer.concat(came).length).toBe(length), { timeout: 20_000 });
      return Buffer.concat(came);
    };
    /** Bytes that differ from place to place. */
    const pattern = (length: number): Buffer => {
      const bytes = Buffer.alloc(length);
      for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE(at, at);
      return bytes;
    };

    test('bytes come in and leave in order; none are lost that came before', async () => {
      peer.write('early ');
      await new Promise((resolve) => setTimeout(resolve, 20));
      listen();
      peer.write('late');
      expect((await received(10)).toString()).toBe('early late');
      const sent = vi.fn();
      stream.send(Buffer.from('one '), sent);
      stream.send(Buffer.from('two'), sent);
      await eventually(() => expect(sent).toHaveBeenCalledTimes(2));
      await eventually(() => expect(peer.read(7)?.toString()).toBe('one two'));
    });

    test('more than the system takes at once: it waits, is counted, and all of it arrives', async () => {
      listen();
      const pieces = Array.from({ length: 24 }, (_, i) => pattern(MIB).fill(i, 0, 1000));
      const sent = vi.fn();
      for (const piece of pieces) stream.send(piece, sent);
      stream.send(Buffer.from('the end'), sent);
      expect(stream.unsent).toBeGreaterThan(0);
      expect(sent.mock.calls.length).toBeLessThan(24);
      const all: Buffer[] = [];
      peer.on('data', (chunk) => all.push(chunk));
      const expected = Buffer.concat([...pieces, Buffer.from('the end')]);
      await vi.waitFor(() => expect(Buffer.concat(all).length).toBe(expected.length), { timeout: 20_000 });
      expect(Buffer.concat(all).equals(expected)).toBe(true);
      await eventually(() => expect(sent).toHaveBeenCalledTimes(25));
      expect([stream.unsent, said]).toEqual([0, ['drained']]);
    });

    describe('a part of a file', () => {
      let dir: string;
      let fd: number;
      const content = pattern(4 * MIB);
      beforeEach(() => {
        dir = mkdtempSync(join(tmpdir(), 'nbd-stream-'));
        writeFileSync(join(dir, 'file'), content);
        fd = openSync(join(dir, 'file'), 'r');
      });
      afterEach(() => {
        closeSync(fd);
        rmSync(dir, { recursive: true });
      });
      const partAt = (at: number, length: number): FilePart => ({
        ...{ offset: 0, length },
        lend: (send) => send(fd, at),
        readNow: (target, from) => void readSync(fd, target, 0, target.length, at + from),
      });

      test('leaves behind the bytes before it, as far as it is taken at once; the rest is sent as all else', async () => {
        listen();
        const expected: Buffer[] = [];
        let [taken, whole] = [0, 0];
        for (let i = 0; i < 24; i++) {
          const head = Buffer.from(`before ${i};`);
          const part = partAt(5000 * i + 1, MIB);
          const could = stream.takesFiles;
          const gone = stream.sendFile(head, part);
          expect(gone).toBeLessThanOrEqual(could ? head.length + MIB : 0);
          taken += gone;
          if (gone === head.length + MIB) whole++;
          const all = Buffer.concat([head, content.subarray(5000 * i + 1, 5000 * i + 1 + MIB)]);
          expected.push(all);
          stream.send(all.subarray(gone), () => {});
        }
        expect([taken > 0, whole < 24]).toEqual([hasFiles, true]);
        const waiting = [
          stream.unsent > 0,
          stream.takesFiles,
          stream.sendFile(Buffer.from('x'), partAt(0, 1)),
        ];
        expect(waiting).toEqual([true, false, 0]);
        const came: Buffer[] = [];
        peer.on('data', (chunk) => came.push(chunk));
        await vi.waitFor(() => expect(Buffer.concat(came).length).toBe(Buffer.concat(expected).length), {
          timeout: 20_000,
        });
        expect(Buffer.concat(came).equals(Buffer.concat(expected))).toBe(true);
        await eventually(() => expect([stream.unsent, stream.takesFiles]).toEqual([0, hasFiles]));
      });

      test('that the file has not all of, or that cannot be read: only what is there leaves', async () => {
        listen();
        const gone = stream.sendFile(Buffer.from('head'), partAt(content.length - 10_000, 20_000));
        expect(gone).toBe(hasFiles ? 10_004 : 0);
        const folder = openSync(dir, 'r');
        expect(
          stream.sendFile(Buffer.from('head'), { ...partAt(0, 1), lend: (send) => send(folder, 0) }),
        ).toBe(hasFiles ? 4 : 0);
        closeSync(folder);
      });

      test('nothing leaves of it behind the end', async () => {
        listen();
        stream.end();
        expect([stream.takesFiles, stream.sendFile(Buffer.from('x'), partAt(0, 1000))]).toEqual([false, 0]);
        stream.destroy();
        expect([stream.takesFiles, stream.sendFile(Buffer.from('x'), partAt(0, 1000))]).toEqual([false, 0]);
      });
    });

    test.each([
      ['short', 5000],
      ['long', 300_000],
    ])('a %s range is filled in place, and what follows is received', async (_, length) => {
      listen();
      const bytes = pattern(length);
      const target = Buffer.alloc(length);
      const filled = vi.fn(() => came.push(Buffer.from('|')));
      stream.fill(target, filled);
      peer.write(bytes.subarray(0, 1000));
      await eventually(() => expect(target.subarray(0, 1000).equals(bytes.subarray(0, 1000))).toBe(true));
      expect(filled).not.toHaveBeenCalled();
      peer.write(Buffer.concat([bytes.subarray(1000), Buffer.from('behind')]));
      expect((await received(7)).toString()).toBe('|behind');
      expect(target.equals(bytes)).toBe(true);
    });

    test('what is not to be filled any more is left alone', async () => {
      listen();
      const target = Buffer.alloc(100);
      stream.fill(target, () => said.push('filled'));
      stream.stopFilling();
      peer.write('for the listener');
      expect((await received(16)).toString()).toBe('for the listener');
      expect([target.every((byte) => byte === 0), said]).toEqual([true, []]);
    });

    test('bytes that are kept stay as they are while others come, until they are given back', async () => {
      const kept: { bytes: Buffer; release: () => void }[] = [];
      listen((bytes) => {
        came.push(Buffer.from(bytes));
        kept.push({ bytes, release: stream.keep() });
      });
      for (let i = 1; i <= 5; i++) {
        peer.write(Buffer.alloc(1000, i));
        await received(1000 * i);
      }
      expect(Buffer.concat(kept.map(({ bytes }) => bytes)).equals(Buffer.concat(came))).toBe(true);
      for (const { release } of kept) release();
      peer.write(Buffer.alloc(1000, 6));
      expect((await received(6000)).at(-1)).toBe(6);
    });

    test('paused, nothing is received; resumed, all of it', async () => {
      listen();
      peer.write('a');
      await received(1);
      stream.pause();
      peer.write('b');
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(came.length).toBe(1);
      stream.resume();
      expect((await received(2)).toString()).toBe('ab');
    });

    test('our end comes behind all that was sent; theirs closes it', async () => {
      listen();
      stream.send(pattern(8 * MIB), () => said.push('sent'));
      stream.end();
      let length = 0;
      peer.on('data', (chunk) => {
        length += chunk.length;
      });
      await once(peer, 'end');
      expect(length).toBe(8 * MIB);
      await eventually(() => expect(said.at(-1)).toBe('closed'));
      expect(said.filter((word) => word !== 'drained')).toEqual(['sent', 'ended', 'closed']);
    });

    test('a connection that is broken says so, and gives back what was to be sent', async () => {
      listen();
      const sent = vi.fn();
      for (let i = 0; i < 20; i++) stream.send(pattern(MIB), sent);
      expect(stream.unsent).toBeGreaterThan(0);
      peer.resetAndDestroy();
      await eventually(() => expect(said.at(-1)).toBe('closed'));
      expect(said).toContain('ECONNRESET');
      expect(sent).toHaveBeenCalledTimes(20);
      stream.send(Buffer.from('too late'), sent);
      expect(sent).toHaveBeenCalledTimes(21);
    });

    test('destroyed, it gives back what was to be sent, and the other side hears of it', async () => {
      listen();
      const sent = vi.fn();
      for (let i = 0; i < 20; i++) stream.send(pattern(MIB), sent);
      stream.destroy();
      await once(peer.resume(), 'close');
      await eventually(() => expect(said).toEqual(['closed']));
      expect(sent).toHaveBeenCalledTimes(20);
    });

    test('it is not quiet while a long range is being filled, piece by piece', async () => {
      listen();
      const quiet = vi.fn();
      const filled = vi.fn();
      stream.fill(Buffer.alloc(MIB), filled);
      stream.watchQuiet(400, quiet);
      for (let i = 0; i < 40; i++) {
        peer.write(Buffer.alloc(1000));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(quiet).not.toHaveBeenCalled();
      await eventually(() => expect(quiet).toHaveBeenCalled());
      expect(filled).not.toHaveBeenCalled();
    });

    test('it tells when it was quiet, each time', async () => {
      listen();
      const quiet = vi.fn();
      stream.watchQuiet(40, quiet);
      await eventually(() => expect(quiet.mock.calls.length).toBeGreaterThan(0));
      stream.watchQuiet(0, quiet);
      const calls = quiet.mock.calls.length;
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(quiet).toHaveBeenCalledTimes(calls);
    });
  });
}
