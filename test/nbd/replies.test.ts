/** Replies with parts of files, on a stream that takes as much as the test says. */
import { expect, test } from 'vitest';
import { DiskError, type FilePart } from '../../imager/disks/disk.ts';
import { Budget } from '../../imager/nbd/budget.ts';
import { BufferPool } from '../../imager/nbd/buffer-pool.ts';
import { StreamReplies } from '../../imager/nbd/replies.ts';
import { ReplyMemory } from '../../imager/nbd/reply-memory.ts';
import type { Stream } from '../../imager/nbd/stream.ts';

/** Takes `room` bytes of files and what is before them; all else waits until `drain`. */
function slowStream(room: number): { stream: Stream; left: () => string; drain: () => void } {
  const gone: string[] = [];
  let waiting: { bytes: Buffer; sent: () => void }[] = [];
  const drain = (): void => {
    const all = waiting;
    waiting = [];
    for (const { bytes, sent } of all) {
      gone.push(bytes.toString());
      sent();
    }
  };
  const stream = {
    get unsent() {
      return waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
    },
    takesFiles: true,
    send: (bytes: Buffer, sent: () => void) => void waiting.push({ bytes, sent }),
    sendFile(bytes: Buffer, part: FilePart) {
      if (waiting.length > 0) return 0;
      const all = Buffer.alloc(bytes.length + part.length);
      all.set(bytes);
      part.readNow(all.subarray(bytes.length), 0);
      gone.push(all.toString('latin1', 0, room));
      return Math.min(room, all.length);
    },
    destroy: drain,
  };
  return { stream: stream as unknown as Stream, left: () => gone.join(''), drain };
}

const partOf = (text: string): FilePart => ({
  ...{ offset: 0, length: text.length, lend: () => 0 },
  readNow(target, from) {
    if (from + target.length > text.length) throw new DiskError('EIO', 'too short');
    target.set(Buffer.from(text).subarray(from, from + target.length));
  },
});

function start(room: number) {
  const slow = slowStream(room);
  const [budget, memory] = [new Budget(1000), new ReplyMemory(new BufferPool())];
  const replies = new StreamReplies(slow.stream, memory, budget, () => {});
  const make = (text: string): Buffer => {
    const reply = replies.reserve(text.length);
    reply.write(text);
    return reply;
  };
  /** All memory was given back: the arena begins anew. */
  const free = (): boolean => replies.reserve(1).byteOffset === first.byteOffset && !budget.exhausted;
  const first = replies.reserve(1);
  replies.drop(first);
  return { ...slow, replies, make, free };
}

test.each([0, 1, 3, 4, 6, 8, 30])(
  '%d bytes are taken at once: all of it in order, memory given back',
  async (room) => {
    const { replies, make, left, drain, free } = start(room);
    replies.send(make('earlier '));
    replies.sendWith(make('ab,cd.'), [
      { at: 3, part: partOf('FILE') },
      { at: 6, part: partOf('MORE') },
    ]);
    replies.send(make(' later'));
    await Promise.resolve();
    drain();
    expect(left()).toBe('earlier ab,FILEcd.MORE later');
    expect([replies.unsent, replies.taken]).toEqual([0, 28]);
    expect(free()).toBe(true);
  },
);

test('what is no whole part in the end: the stream is destroyed, and memory given back', () => {
  const { replies, make, left, free } = start(6);
  const short = { ...partOf('FI'), length: 4 };
  const reply = make('ab,cd.');
  expect(() =>
    replies.sendWith(reply, [
      { at: 3, part: partOf('FILE') },
      { at: 6, part: short },
    ]),
  ).toThrow('too short');
  expect(left().startsWith('ab,FILEcd.')).toBe(true);
  expect(free()).toBe(true);
});
