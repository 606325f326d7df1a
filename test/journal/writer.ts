/** Appends event after event and prints the number of each once a later turn of the event loop has begun. */
import { setImmediate } from 'node:timers/promises';
import { EventFiles } from '../../imager/journal/event-files.ts';

const journal = new EventFiles({
  dir: process.argv[2]!,
  name: 'nodes',
  fileBytes: 5000,
  files: 100,
  failed: (error) => {
    throw error;
  },
});
for (let at = 1; at < 1_000_000; at++) {
  journal.append('n', { id: at, at, component: 'dhcp', step: 'discover' });
  await setImmediate();
  await setImmediate();
  process.stdout.write(`${at}\n`);
}
