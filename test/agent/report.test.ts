/** What a node keeps for an imager that is away: in order, over reboots, within bounds. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Report } from '../../agent/core/report.ts';
import { decodeReport, encodeReport, ReportFile } from '../../agent/linux/report-file.ts';
import { parseAgentMessage, type Step } from '../../agent/protocol/messages.ts';

const BOOT = (id: string) => ({ id, image: 'alpha' });
const names = (report: Report) => report.pending().map((each) => (each as Step).step);

it('numbers the steps of its boot, and lets go of those the imager has', () => {
  const report = new Report(BOOT('b1'), 0);
  expect([report.add('one', 1, {}), report.add('two', 2, { a: 1 })].map(({ seq }) => seq)).toEqual([1, 2]);
  expect(report.acknowledged(1)).toBe(true);
  expect(report.acknowledged(1)).toBe(false);
  expect(report.acknowledged(2, 'b0')).toBe(false);
  expect(report.pending()).toEqual([{ type: 'step', seq: 2, step: 'two', uptime: 2, detail: { a: 1 } }]);
  expect(report.acknowledged(2)).toBe(true);
  expect(report.empty).toBe(true);
});

it('tells of earlier boots first, each step with its boot', () => {
  const first = new Report(BOOT('b1'), 0);
  first.add('one', 1, {});
  const second = new Report({ id: 'b2', image: 'beta' }, 0);
  second.add('two', 1, {});
  second.recall(decodeReport(encodeReport('u1', first.kept(0))));
  const third = new Report(BOOT('b3'), 0);
  third.add('three', 1, {});
  third.recall(decodeReport(encodeReport('u1', second.kept(0))));
  expect(third.pending()).toMatchObject([
    { step: 'one', seq: 1, boot: { id: 'b1', image: 'alpha' } },
    { step: 'two', seq: 1, boot: { id: 'b2', image: 'beta' } },
    { step: 'three', seq: 1 },
  ]);
  expect(third.pending()[2]).not.toHaveProperty('boot');
  expect(third.acknowledged(1, 'b2')).toBe(true);
  expect(names(third)).toEqual(['one', 'three']);
});

it('a process started again in the same boot uses no number twice', () => {
  const killed = new Report(BOOT('b1'), 0);
  killed.add('one', 1, {});
  const kept = killed.kept(1000);
  // Sent, and not kept any more.
  killed.add('two', 2, {});
  const again = new Report(BOOT('b1'), 0);
  again.recall(kept);
  const next = again.add('three', 3, {});
  expect(next.seq).toBeGreaterThan(killed.lastSeq);
  expect(names(again)).toEqual(['one', 'three']);
});

it('nor does one that finds nothing of what an earlier one kept', () => {
  const earlier = new Report(BOOT('b1'), 20.5);
  earlier.recall({ bootId: 'b1', lastSeq: 1040, dropped: 0, steps: [] });
  const told = earlier.add('one', 20.5, {});
  expect(new Report(BOOT('b1'), 21).add('two', 21, {}).seq).toBeGreaterThan(told.seq);
  expect(new Report(BOOT('b2'), 0.2).add('one', 0.2, {}).seq).toBeGreaterThan(0);
});

it('keeps within bounds: the oldest go first, and are counted until that is told', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 4096 }), { minLength: 1, maxLength: 60 }), (lengths) => {
      const report = new Report(BOOT('b2'), 0);
      report.recall({ bootId: 'b1', lastSeq: 9, dropped: 3, steps: [] });
      const all = lengths.flatMap((length, i) =>
        Array.from({ length: 30 }, (_, j) => report.add(`s${i}.${j}`, 1, { text: 'x'.repeat(length) }).step),
      );
      const left = names(report);
      expect(left).toEqual(all.slice(all.length - left.length));
      expect(report.dropped).toBe(3 + all.length - left.length);
      expect(left.length).toBeGreaterThan(0);
      expect(encodeReport('u1', report.kept(0)).length).toBeLessThan(400_000);
      report.droppedTold();
      expect(report.dropped).toBe(0);
    }),
    { numRuns: 40 },
  );
});

it('of a text that is too long for a message the beginning is told, and the imager takes it', () => {
  const report = new Report(BOOT('b1'), 0);
  const long = 'x'.repeat(10_000);
  const step = report.add(long, 1, { why: long, [long]: 5, short: 'y' });
  expect(parseAgentMessage(step)).toEqual(step);
  expect(step.detail).toMatchObject({ why: `${'x'.repeat(4093)}...`, short: 'y' });
  expect(decodeReport(encodeReport('u1', report.kept(0))).steps).toHaveLength(1);
});

/** A disk whose writes end when the test says so. */
class SlowDisk {
  files = new Map<string, Uint8Array>();
  said: string[] = [];
  writes: { bytes: Uint8Array; end: (error?: Error) => void }[] = [];
  makeDirectory() {}
  exists(path: string) {
    return this.files.has(path);
  }
  readFile(path: string) {
    return this.files.get(path)!;
  }
  print(line: string) {
    this.said.push(line);
  }
  replaceFileAside(path: string, bytes: Uint8Array) {
    return new Promise<void>((resolve, reject) => {
      const end = (error?: Error) => {
        if (error !== undefined) return reject(error);
        this.files.set(path, bytes);
        resolve();
      };
      this.writes.push({ bytes, end });
    });
  }
}

it('writes one file at a time, and what came meanwhile with the next', async () => {
  const disk = new SlowDisk();
  const report = new Report(BOOT('b1'), 0);
  const file = new ReportFile(disk as never, '/state', 'u1', report);
  report.add('one', 1, {});
  const written = file.write();
  report.add('two', 2, {});
  void file.write();
  report.add('three', 3, {});
  void file.write();
  expect(disk.writes).toHaveLength(1);
  disk.writes[0]!.end();
  await new Promise(setImmediate);
  expect(disk.writes).toHaveLength(2);
  disk.writes[1]!.end();
  await written;
  expect(decodeReport(disk.files.get('/state/report.cbor')!).steps.map(({ step }) => step)).toEqual([
    ...['one', 'two', 'three'],
  ]);
  expect(file.holdsSteps).toBe(true);
});

it.each([0, 1, 2, 3, 4, 5])(
  'what comes %i microtasks after a write has ended is written as well',
  async (after) => {
    const disk = new SlowDisk();
    const report = new Report(BOOT('b1'), 0);
    const file = new ReportFile(disk as never, '/state', 'u1', report);
    report.add('one', 1, {});
    void file.write();
    disk.writes[0]!.end();
    for (let i = 0; i < after; i++) await undefined;
    report.add('two', 2, {});
    const written = file.write();
    await new Promise(setImmediate);
    disk.writes.at(-1)!.end();
    await written;
    expect(decodeReport(disk.files.get('/state/report.cbor')!).steps.map(({ step }) => step)).toEqual([
      'one',
      'two',
    ]);
  },
);

it('says once what is wrong with its disk, and begins anew where the file is damaged', async () => {
  const disk = new SlowDisk();
  disk.files.set('/state/report.cbor', Uint8Array.of(0, 0, 0, 1, 0xff));
  const report = new Report(BOOT('b1'), 0);
  const file = new ReportFile(disk as never, '/state', 'u1', report);
  expect(disk.said).toHaveLength(1);
  expect(report.empty).toBe(true);
  for (let i = 0; i < 2; i++) {
    const written = file.write();
    disk.writes[i]!.end(new Error('ENOSPC'));
    await written;
  }
  expect(disk.said.slice(1)).toEqual(['bootwright: /state/report.cbor: ENOSPC']);
});

it('tells nothing that another node has left on its disk', async () => {
  const disk = new SlowDisk();
  const other = new Report(BOOT('b1'), 0);
  other.add('one', 1, {});
  disk.files.set('/state/report.cbor', encodeReport('u2', other.kept(0)));
  const report = new Report(BOOT('b2'), 0);
  const file = new ReportFile(disk as never, '/state', 'u1', report);
  expect([report.empty, file.holdsSteps]).toEqual([true, false]);
  expect(disk.said).toEqual([
    'bootwright: /state/report.cbor: has steps of another node (u2), which are not told',
  ]);
  report.add('two', 1, {});
  void file.write();
  const { uid, steps } = decodeReport(disk.writes[0]!.bytes);
  expect([uid, steps.map(({ step }) => step)]).toEqual(['u1', ['two']]);
});
