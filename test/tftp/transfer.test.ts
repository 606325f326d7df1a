import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Terms } from '../../imager/tftp/progress.ts';
import {
  begin,
  blocksAfterAck,
  FINAL_RETRIES,
  next,
  PATIENCE_MS,
  type TransferEffect,
  type TransferInput,
  type TransferState,
  UNPROVEN_RETRIES,
} from '../../imager/tftp/transfer.ts';

const LOCKSTEP: Terms = { windowsize: 1, offer: false, maxRetransmissionMs: 2000 };
const WINDOW: Terms = { windowsize: 4, offer: true, maxRetransmissionMs: 2000 };

/** A transfer driven by hand in virtual time; effects are given as short words. */
class Driver {
  now = 0;
  state: TransferState;
  wakeAt = 0;
  effects: string[];
  constructor(terms: Terms, blocks?: number) {
    const step = begin(terms, 0);
    this.state = step.state;
    this.effects = this.#words(step.effects);
    if (blocks !== undefined) this.feed({ type: 'available', block: blocks, last: blocks });
  }
  feed(input: TransferInput, after = 0): string[] {
    this.now += after;
    const step = next(this.state, input, this.now);
    this.state = step.state;
    this.effects = this.#words(step.effects);
    return this.effects;
  }
  ack(block: number, after = 0): string[] {
    return this.feed({ type: 'ack', block }, after);
  }
  /** Lets the time asked for pass. */
  timeout(): string[] {
    return this.feed({ type: 'timer' }, this.wakeAt - this.now);
  }
  #words(effects: TransferEffect[]): string[] {
    return effects.flatMap((effect) => {
      switch (effect.type) {
        case 'send-blocks':
          return [`send ${effect.from}-${effect.to}`];
        case 'release':
          return [];
        case 'timer':
          this.wakeAt = effect.at;
          return [];
        case 'ignored':
          return [`ignored ${effect.reason}`];
        case 'close':
          return [effect.outcome.type === 'done' ? 'done' : `failed ${effect.outcome.reason}`];
        case 'send-error':
          return [`error ${effect.code}`];
        default:
          return ['oack'];
      }
    });
  }
}

describe('lockstep (RFC 1350)', () => {
  test('one block for each ACK, done with the ACK of the last', () => {
    const transfer = new Driver(LOCKSTEP, 3);
    expect(transfer.effects).toEqual(['send 1-1']);
    expect(transfer.ack(1)).toEqual(['send 2-2']);
    expect(transfer.ack(2)).toEqual(['send 3-3']);
    expect(transfer.ack(3)).toEqual(['done']);
  });

  test("a repeated ACK sends nothing, however late (Sorcerer's Apprentice)", () => {
    const transfer = new Driver(LOCKSTEP, 9);
    transfer.ack(1, 10);
    expect(transfer.ack(1, 0)).toEqual(['ignored ack.duplicate']);
    expect(transfer.ack(1, 40)).toEqual(['ignored ack.duplicate']);
    expect(transfer.ack(0, 0)).toEqual(['ignored ack.old']);
    expect(transfer.ack(3, 0)).toEqual(['ignored ack.ahead']);
    expect(transfer.state.progress.resent).toBe(0);
  });

  test('a lost block is sent again after a time that follows the round trip', () => {
    const transfer = new Driver(LOCKSTEP, 99);
    for (let block = 1; block <= 20; block++) transfer.ack(block, 40);
    // 40 ms steady: the variation shrinks, and the wait comes near the round trip itself.
    expect(transfer.wakeAt - transfer.now).toBeGreaterThanOrEqual(50);
    expect(transfer.wakeAt - transfer.now).toBeLessThan(60);
    expect(transfer.timeout()).toEqual(['send 21-21']);
    expect(transfer.state.progress.resent).toBe(1);
  });

  test('never sooner than the floor, first time after 200 ms, then doubling up to the most', () => {
    const transfer = new Driver(LOCKSTEP, 99);
    expect(transfer.wakeAt).toBe(200);
    for (let block = 1; block <= 20; block++) transfer.ack(block, 0.1);
    const waits = [];
    for (let count = 0; count < 8; count++) {
      waits.push(Math.round(transfer.wakeAt - transfer.now));
      transfer.timeout();
    }
    expect(waits).toEqual([50, 100, 200, 400, 800, 1600, 2000, 2000]);
  });

  test('the round trip is not measured on what was sent twice (Karn)', () => {
    const transfer = new Driver(LOCKSTEP, 99);
    transfer.timeout();
    transfer.ack(1, 1);
    expect(transfer.state.progress.trip.smoothed).toBeUndefined();
  });

  test("the client's timeout bounds the wait", () => {
    const transfer = new Driver({ ...LOCKSTEP, maxRetransmissionMs: 1000 }, 9);
    transfer.ack(1, 5000);
    expect(transfer.wakeAt - transfer.now).toBe(1000);
  });

  test('block numbers go on at 0 after 65535, twice', () => {
    const transfer = new Driver(LOCKSTEP, 140_000);
    for (let block = 1; block < 140_000; block++)
      if (transfer.ack(block & 0xffff)[0] !== `send ${block + 1}-${block + 1}`)
        throw new Error(`at ${block}`);
    expect(transfer.ack(140_000 & 0xffff)).toEqual(['done']);
  });
});

describe('giving up', () => {
  test('a client that never answered gets few packets', () => {
    const transfer = new Driver(LOCKSTEP, 9);
    for (let count = 0; count < UNPROVEN_RETRIES; count++) expect(transfer.timeout()).toEqual(['send 1-1']);
    expect(transfer.timeout()).toEqual(['error 0', 'failed timeout']);
  });

  test('nor many OACKs', () => {
    const transfer = new Driver(WINDOW, 9);
    for (let count = 0; count < UNPROVEN_RETRIES; count++) expect(transfer.timeout()).toEqual(['oack']);
    expect(transfer.timeout()).toEqual(['error 0', 'failed timeout']);
  });

  test('a client that answered before is waited for', () => {
    const transfer = new Driver(LOCKSTEP, 9);
    transfer.ack(1, 1);
    const before = transfer.now;
    while (transfer.state.phase !== 'ended') transfer.timeout();
    expect(transfer.effects).toEqual(['error 0', 'failed timeout']);
    expect(transfer.now - before).toBeGreaterThanOrEqual(PATIENCE_MS);
    expect(transfer.now - before).toBeLessThan(PATIENCE_MS + 2001);
  });

  test('a missing last ACK ends it sooner, and is told apart', () => {
    const transfer = new Driver(LOCKSTEP, 2);
    transfer.ack(1, 1);
    for (let count = 0; count < FINAL_RETRIES; count++) expect(transfer.timeout()).toEqual(['send 2-2']);
    expect(transfer.timeout()).toEqual(['failed no-final-ack']);
  });

  test('a last window of which nothing arrived is not a missing last ACK: it is tried as long as any other', () => {
    const transfer = new Driver(WINDOW, 3);
    expect(transfer.ack(0, 1)).toEqual(['send 1-3']);
    while (transfer.state.phase !== 'ended') transfer.timeout();
    expect(transfer.effects).toEqual(['error 0', 'failed timeout']);
    expect(transfer.now).toBeGreaterThanOrEqual(PATIENCE_MS);
  });

  test('an ERROR of the client ends it without an answer', () => {
    const transfer = new Driver(LOCKSTEP, 9);
    expect(transfer.feed({ type: 'error', code: 3, message: 'full' })).toEqual(['failed client-error']);
    expect(transfer.ack(1)).toEqual(['ignored after-end']);
  });

  test('an ERROR against the OACK is a client that declines', () => {
    expect(new Driver(WINDOW).feed({ type: 'error', code: 8, message: 'no' })).toEqual(['failed declined']);
  });

  test('a store that does not deliver ends it with an error', () => {
    const transfer = new Driver(LOCKSTEP);
    while (transfer.state.phase !== 'ended') transfer.timeout();
    expect(transfer.effects).toEqual(['error 0', 'failed starved']);
    expect(transfer.now).toBeGreaterThanOrEqual(PATIENCE_MS);
  });

  test('a stop from our side tells the client', () => {
    const transfer = new Driver(LOCKSTEP, 9);
    expect(transfer.feed({ type: 'stop', reason: 'shutdown', message: 'bye' })).toEqual([
      'error 0',
      'failed shutdown',
    ]);
  });

  test('a stop for a newer request does not: it may come from the same port', () => {
    const transfer = new Driver(LOCKSTEP, 9);
    expect(transfer.feed({ type: 'stop', reason: 'superseded', message: 'newer' })).toEqual([
      'failed superseded',
    ]);
  });
});

describe('windows (RFC 7440 section 4)', () => {
  function opened(blocks: number): Driver {
    const transfer = new Driver(WINDOW, blocks);
    expect(transfer.ack(0, 10)).toEqual(['send 1-4']);
    return transfer;
  }

  test('the offer first, then whole windows, the last one short', () => {
    const transfer = new Driver(WINDOW);
    expect(transfer.effects).toEqual(['oack']);
    expect(transfer.feed({ type: 'available', block: 6, last: 6 })).toEqual([]);
    expect(transfer.ack(0, 10)).toEqual(['send 1-4']);
    expect(transfer.ack(4, 10)).toEqual(['send 5-6']);
    expect(transfer.ack(6, 10)).toEqual(['done']);
  });

  test('an ACK inside the window begins the next one after it', () => {
    const transfer = opened(99);
    expect(transfer.ack(2, 10)).toEqual(['send 3-6']);
    expect(transfer.state.progress.resent).toBe(2);
    expect(transfer.ack(6, 10)).toEqual(['send 7-10']);
  });

  test('the many ACKs that some clients send after one gap resend once', () => {
    const transfer = opened(99);
    expect(transfer.ack(2, 10)).toEqual(['send 3-6']);
    expect(transfer.ack(2, 0.1)).toEqual(['ignored ack.duplicate']);
    expect(transfer.ack(2, 0.1)).toEqual(['ignored ack.duplicate']);
    // After a round trip the same ACK is a new complaint: block 3 was lost again.
    expect(transfer.ack(2, 10)).toEqual(['send 3-6']);
  });

  test('a lost first block of a window is complained about with the ACK before it', () => {
    const transfer = opened(99);
    transfer.ack(4, 10);
    expect(transfer.ack(4, 10)).toEqual(['send 5-8']);
  });

  test('a client that acknowledges every block gets a sliding window, nothing twice after the first', () => {
    const transfer = opened(99);
    expect(transfer.ack(1, 10)).toEqual(['send 2-5']);
    expect(transfer.ack(2, 0.1)).toEqual(['send 6-6']);
    expect(transfer.ack(3, 0.1)).toEqual(['send 7-7']);
    expect(transfer.ack(4, 0.1)).toEqual(['send 8-8']);
  });

  test('of four time-outs in a row one sends the window, the others its first block', () => {
    const transfer = opened(99);
    transfer.ack(4, 10);
    const sent = Array.from({ length: 6 }, () => transfer.timeout()[0]);
    expect(sent).toEqual(['send 5-8', 'send 5-5', 'send 5-5', 'send 5-5', 'send 5-8', 'send 5-5']);
    // It had 5 and 6 all the time: what it lacks goes out at once.
    expect(transfer.ack(6, 50)).toEqual(['send 7-10']);
  });

  test.each([2, 4, 8, 16])('one lost block is no storm of ACKs, window %i', (windowsize) => {
    const blocks = 500;
    for (let lost = 1; lost <= 3 * windowsize + 1; lost++) {
      const sent = withSlowClient({ ...WINDOW, windowsize }, blocks, lost);
      expect(sent, `block ${lost}`).toBeGreaterThan(blocks);
      expect(sent, `block ${lost}`).toBeLessThan(blocks + 3 * windowsize);
    }
  });

  test('what the store has goes out, the rest of the window when it comes', () => {
    const transfer = new Driver(WINDOW);
    transfer.feed({ type: 'available', block: 3, last: undefined });
    expect(transfer.ack(0, 1)).toEqual(['send 1-3']);
    // The client is waiting for block 4, as we are: sending 1 to 3 again would tell it nothing.
    expect(transfer.timeout()).toEqual([]);
    expect(transfer.feed({ type: 'available', block: 8, last: undefined })).toEqual(['send 4-4']);
    expect(transfer.ack(4, 1)).toEqual(['send 5-8']);
  });

  test('a window across the roll-over', () => {
    const transfer = new Driver(WINDOW, 70_000);
    transfer.ack(0);
    for (let block = 4; block < 65_534; block += 4) transfer.ack(block, 1);
    expect(transfer.state.progress.base).toBe(65_532);
    expect(transfer.ack(65_534, 1)).toEqual(['send 65535-65538']);
    expect(transfer.ack(0, 1)).toEqual(['send 65537-65540']);
    expect(transfer.state.progress.base).toBe(65_536);
  });
});

test('the block after the ACK of the newest is known beforehand, whatever came before', () => {
  const input = fc.oneof(
    fc.record({ type: fc.constant('ack' as const), beyond: fc.integer({ min: -1, max: 6 }) }),
    fc.record({ type: fc.constant('read' as const), blocks: fc.integer({ min: 1, max: 6 }) }),
    fc.constant({ type: 'timer' as const }),
  );
  const terms = fc.record({
    windowsize: fc.integer({ min: 1, max: 5 }),
    offer: fc.boolean(),
    maxRetransmissionMs: fc.constant(2000),
  });
  const LAST = 14;
  const known = new Set<boolean>();
  fc.assert(
    fc.property(terms, fc.array(fc.tuple(input, fc.nat(60)), { maxLength: 40 }), (terms, inputs) => {
      const transfer = new Driver(terms);
      for (const [given, after] of inputs) {
        const { base, sent, available } = transfer.state.progress;
        const block = blocksAfterAck(transfer.state)?.from;
        known.add(block !== undefined);
        const { effects } = next(transfer.state, { type: 'ack', block: sent }, transfer.now + after);
        expect(effects.find(({ type }) => type.startsWith('send'))).toEqual(
          block === undefined
            ? undefined
            : { type: 'send-blocks', from: block, to: expect.toSatisfy((to) => to >= block) },
        );
        const read = available + (given.type === 'read' ? given.blocks : 0);
        if (given.type === 'ack') transfer.ack(Math.max(0, base + given.beyond), after);
        else if (given.type === 'timer') transfer.feed(given, after);
        else if (read < LAST) transfer.feed({ type: 'available', block: read, last: undefined }, after);
        else if (available < LAST) transfer.feed({ type: 'available', block: LAST, last: LAST }, after);
      }
    }),
  );
  expect(known.size).toBe(2);
});

test('ACKs that the socket answered by itself move the transfer as they would have one by one', () => {
  const counts = new Set<number>();
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), fc.nat(30), fc.boolean(), (before, count, after, ended) => {
      const open = () => {
        const transfer = new Driver(LOCKSTEP);
        const last = ended ? 150 : undefined;
        transfer.feed({ type: 'available', block: ended ? 150 : 1000, last });
        for (let block = 1; block <= Math.min(before, 140); block++) transfer.ack(block, 1);
        return transfer;
      };
      const [alone, together] = [open(), open()];
      const { from, to } = blocksAfterAck(alone.state)!;
      const some = Math.min(count + 1, to - from + 1);
      counts.add(some);
      for (let n = 0; n < some; n++) alone.ack(from - 1 + n, n === some - 1 ? after : 0);
      together.now += after;
      const words = together.feed({ type: 'answered', count: some, at: together.now });
      expect(words).toEqual([]);
      const { trip, timed, windowAt, ...progress } = alone.state.progress;
      expect(together.state.progress).toMatchObject({
        ...progress,
        base: from - 2 + some,
        sent: from - 1 + some,
      });
      expect(together.state.phase).toBe('sending');
      // The next ACK goes on from there.
      expect(together.ack(from - 1 + some)).toEqual(alone.ack(from - 1 + some));
    }),
  );
  expect(counts.size).toBeGreaterThan(5);
});

test('the mean round trip of ACKs answered together counts once, and what was sent twice never', () => {
  const transfer = new Driver(LOCKSTEP, 100);
  transfer.feed({ type: 'answered', count: 10, at: 80 });
  expect(transfer.state.progress.trip.smoothed).toBe(8);
  transfer.feed({ type: 'answered', count: 10, at: 9000 });
  expect(transfer.state.progress.trip.smoothed).toBe(8);
});

test('blocks are known ahead in lockstep alone, once a round trip is known, and as far as they are read', () => {
  const lockstep = new Driver(LOCKSTEP, 9);
  expect(blocksAfterAck(lockstep.state)).toEqual({ from: 2, to: 2 });
  lockstep.ack(1, 3);
  expect(blocksAfterAck(lockstep.state)).toEqual({ from: 3, to: 9 });
  const window = new Driver(WINDOW, 9);
  expect(blocksAfterAck(window.state)).toEqual({ from: 1, to: 1 });
  window.ack(0);
  expect(blocksAfterAck(window.state)).toEqual({ from: 5, to: 5 });
  expect(blocksAfterAck(new Driver(LOCKSTEP, 1).state)).toBeUndefined();
});

/**
 * Blocks sent to a client like edk2's: it takes a packet every 0.3 ms and says again what it has at each one that is not the
 * next. Block `lost` is lost once, on a wire of 0.1 ms.
 */
function withSlowClient(terms: Terms, blocks: number, lost: number): number {
  const transfer = new Driver(terms, blocks);
  const wire: { at: number; block: number }[] = [];
  const acks: { at: number; block: number }[] = [];
  let [count, has, free, fresh] = [0, 0, 0, 0];
  const send = (effects: readonly string[]) => {
    for (const [, from, to] of effects.map((text) => /^send (\d+)-(\d+)$/.exec(text) ?? []))
      for (let block = Number(from); block <= Number(to); block++)
        if (++count !== lost) wire.push({ at: transfer.now + 0.1, block });
  };
  send(transfer.ack(0, 0.2));
  while (transfer.state.phase !== 'ended' && count < 100 * blocks) {
    const packet = wire[0];
    const done = packet === undefined ? Number.POSITIVE_INFINITY : Math.max(packet.at, free) + 0.3;
    const ack = acks[0];
    if (ack !== undefined && ack.at <= Math.min(done, transfer.wakeAt)) {
      acks.shift();
      send(transfer.ack(ack.block & 0xffff, Math.max(0, ack.at - transfer.now)));
    } else if (packet !== undefined && done <= transfer.wakeAt) {
      wire.shift();
      free = done;
      const next = packet.block === has + 1;
      if (next) has++;
      fresh = next ? fresh + 1 : 0;
      if (!next || fresh === terms.windowsize || has === blocks) {
        fresh = 0;
        acks.push({ at: done + 0.1, block: has });
      }
    } else send(transfer.timeout());
  }
  expect(transfer.state).toMatchObject({ phase: 'ended', outcome: { type: 'done' } });
  return count;
}
