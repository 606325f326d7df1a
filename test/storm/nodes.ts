/**
 * The nodes of a boot storm, powered on evenly within one second. Arguments: how many, windowsize, the file they are to
 * get. Prints one line: JSON of Storm. Their nth MAC and address are those of `identity(n)`.
 */
import { readFileSync } from 'node:fs';
import { Segment } from '../../firmware-stubs/simulated/segment.ts';
import { identity, type Storm } from './identity.ts';

const [count, windowsize, file] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]!];
const expected = readFileSync(file);
const WITHIN_MS = 1000;

const segment = await Segment.open();
const storm: Storm = { seconds: [], failures: [] };
let over = () => {};
const ended = new Promise<void>((resolve) => {
  over = resolve;
});
const machines = Array.from({ length: count }, (_, n) => {
  let bytes = 0;
  let intact = true;
  const firmware = segment.add({
    identity: {
      mac: Buffer.from(identity(n).mac.replaceAll(':', ''), 'hex'),
      uuid: new Uint8Array(16),
      arch: 0,
    },
    xid: 0x5707_0000 + n,
    wishes: { blksize: 1468, windowsize },
    store(data, offset) {
      bytes += data.length;
      intact &&= expected.compare(data, 0, data.length, offset, offset + data.length) === 0;
    },
  });
  return {
    firmware,
    verdict: () => (intact && bytes === expected.length ? undefined : 'the file is not whole'),
  };
});
const started: number[] = [];
for (const [n, { firmware }] of machines.entries())
  setTimeout(
    () => {
      started[n] = performance.now();
      firmware.powerOn();
    },
    (n * WITHIN_MS) / count,
  );
const waiting = new Set(machines.keys());
const look = setInterval(() => {
  for (const n of waiting) {
    const { phase } = machines[n]!.firmware;
    if (phase.name !== 'booted' && phase.name !== 'failed') continue;
    waiting.delete(n);
    const fault = phase.name === 'failed' ? phase.why : machines[n]!.verdict();
    if (fault !== undefined) storm.failures.push(`${identity(n).address}: ${fault}`);
    else storm.seconds.push((performance.now() - started[n]!) / 1000);
  }
  if (waiting.size === 0) over();
}, 50);
await ended;
clearInterval(look);
segment.close();
console.log(JSON.stringify(storm));
