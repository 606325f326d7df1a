/** Requests found in a stream's bytes: how many in one turn, and whose memory they are in. */
import { expect, test } from 'vitest';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import type { Request } from '../../imager/nbd/codec.ts';
import { Incoming, type RequestSink, type Source } from '../../imager/nbd/incoming.ts';
import { READ, request, STATUS, WRITE } from './raw-client.ts';

const KIB = 1024;

class Sink implements RequestSink {
  full = false;
  readonly cookies: number[] = [];
  readonly payloads: Buffer[] = [];
  begin({ type, cookieLow }: Request): 'none' | 'take' {
    this.cookies.push(cookieLow);
    return type === WRITE ? 'take' : 'none';
  }
  write(_: Request, payload: Buffer): void {
    this.payloads.push(Buffer.from(payload));
  }
  skipped(): void {}
  abandoned(): void {}
  nonsense(error: Error): void {
    throw error;
  }
}

class Tap implements Source {
  paused = false;
  target: Buffer | undefined;
  filled = (): void => {};
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  fill(target: Buffer, filled: () => void): void {
    this.target = target;
    this.filled = filled;
  }
  stopFilling(): void {
    this.target = undefined;
  }
  keep(): () => void {
    return () => {};
  }
}

function made(): { sink: Sink; tap: Tap; incoming: Incoming } {
  const [sink, tap] = [new Sink(), new Tap()];
  return { sink, tap, incoming: new Incoming(sink, new BufferPool(), tap) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  ['reads of 4 KiB', READ, 4 * KIB, 64],
  ['reads of 256 KiB', READ, 256 * KIB, 2],
  ['wishes to know the state of 16 MiB', STATUS, 16 * 1024 * KIB, 26],
  ['wishes to know the state of 1 GiB', STATUS, 1024 * 1024 * KIB, 1],
])('a client with many %s in flight lets others have their turn', async (_, type, length, most) => {
  const { sink, tap, incoming } = made();
  const requests = Array.from({ length: 200 }, (__, cookie) => request({ type, length, cookie }));
  const chunk = Buffer.concat(requests);
  incoming.feed(chunk);
  // The chunk's memory is the stream's, which puts other bytes there.
  chunk.fill(0xff);
  for (let done = most; done < 200; done += most) {
    expect([sink.cookies.length, tap.paused]).toEqual([done, true]);
    await turn();
  }
  expect(sink.cookies).toEqual(Array.from({ length: 200 }, (__, i) => i));
  expect(tap.paused).toBe(false);
});

test('a payload that comes in part is filled where it is to stay', () => {
  const { sink, tap, incoming } = made();
  const payload = Buffer.alloc(10_000, 'payload');
  const bytes = request({ type: WRITE, payload });
  incoming.feed(bytes.subarray(0, 2000));
  expect([incoming.waiting, sink.payloads.length, tap.target!.length]).toEqual([true, 0, 10_028 - 2000]);
  bytes.copy(tap.target!, 0, 2000);
  tap.filled();
  expect([incoming.waiting, sink.payloads[0]!.equals(payload)]).toEqual([false, true]);
});

test('halted in the middle of a payload, its memory is filled no more', () => {
  const { tap, incoming } = made();
  incoming.feed(request({ type: WRITE, payload: Buffer.alloc(10_000) }).subarray(0, 2000));
  incoming.halt();
  expect(tap.target).toBeUndefined();
});
