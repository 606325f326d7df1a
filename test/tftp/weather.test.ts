import fc from 'fast-check';
import { expect, test } from 'vitest';
import { begin, next, type TransferEffect, type TransferInput } from '../../imager/tftp/transfer.ts';

/** A receiver as RFC 7440 describes it: in sequence only, one ACK for each gap, its own time-out. */
function receive(
  expected: { block: number; windowAt: number; complained: number },
  block: number,
  last: number,
  windowsize: number,
): number | undefined {
  if ((block & 0xffff) === ((expected.block + 1) & 0xffff)) {
    expected.block++;
    if (expected.block === last || expected.block - expected.windowAt === windowsize) {
      expected.windowAt = expected.block;
      return expected.block;
    }
    return undefined;
  }
  if (expected.complained === expected.block) return undefined;
  expected.complained = expected.block;
  expected.windowAt = expected.block;
  return expected.block;
}

test('whatever is lost, repeated or late, the whole file arrives in order (virtual time)', () => {
  const weather = fc.record({
    windowsize: fc.integer({ min: 1, max: 20 }),
    blocks: fc.integer({ min: 1, max: 120 }),
    // One number for each packet: lost below 0.2, repeated above 0.9, delayed in between by its own digits.
    fates: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 50, maxLength: 400 }),
  });
  fc.assert(
    fc.property(weather, ({ windowsize, blocks, fates }) => {
      const client = { block: 0, windowAt: 0, complained: -1 };
      const wire: { at: number; to: 'client' | 'server'; block: number }[] = [];
      let fate = 0;
      let lost = 0;
      let trouble = 0;
      let now = 0;
      let wakeAt = 0;
      let clientWakeAt = 300;
      const send = (to: 'client' | 'server', block: number) => {
        const luck = fates[fate++ % fates.length]!;
        // So many losses in a row are weather, more are a client that is gone: that has its own tests.
        if (luck < 0.2 && lost++ < 4) {
          trouble++;
          return;
        }
        if (luck > 0.9) trouble++;
        const copies = luck > 0.9 ? 2 : 1;
        for (let copy = 0; copy < copies; copy++)
          wire.push({ at: now + 1 + luck * 20 + copy * 3, to, block });
      };
      const perform = (effects: TransferEffect[]) => {
        for (const effect of effects) {
          if (effect.type === 'timer') wakeAt = effect.at;
          if (effect.type === 'send-oack') send('client', 0);
          if (effect.type === 'send-blocks')
            for (let block = effect.from; block <= effect.to; block++) send('client', block);
        }
      };
      const first = begin({ windowsize, offer: true, maxRetransmissionMs: 1000 }, now);
      let state = first.state;
      perform(first.effects);
      const feed = (input: TransferInput) => {
        const step = next(state, input, now);
        if (step.state.progress.progressAt !== state.progress.progressAt) lost = 0;
        state = step.state;
        perform(step.effects);
      };
      feed({ type: 'available', block: blocks, last: blocks });
      for (let turn = 0; turn < 20_000 && state.phase !== 'ended'; turn++) {
        wire.sort((a, b) => a.at - b.at);
        const packet = wire[0];
        const soonest = Math.min(packet?.at ?? Number.POSITIVE_INFINITY, wakeAt, clientWakeAt);
        now = soonest;
        if (packet?.at === soonest) {
          wire.shift();
          if (packet.to === 'server') feed({ type: 'ack', block: packet.block & 0xffff });
          else {
            clientWakeAt = now + 300;
            const answer = packet.block === 0 ? 0 : receive(client, packet.block, blocks, windowsize);
            if (client.complained === answer) trouble++;
            if (answer !== undefined && (packet.block !== 0 || client.block === 0)) send('server', answer);
          }
        } else if (soonest === wakeAt) feed({ type: 'timer' });
        else {
          clientWakeAt = now + 300;
          client.windowAt = client.block;
          send('server', client.block);
        }
      }
      expect(client.block).toBe(blocks);
      expect(state).toMatchObject({ phase: 'ended', outcome: { type: 'done' } });
      // One window again for each thing that went wrong, never a storm.
      expect(state.progress.resent).toBeLessThanOrEqual(windowsize * (trouble + 1));
    }),
    { numRuns: 300 },
  );
});
