/** Prints one line and ends: for measuring the start. */
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host, args) => {
  host.print(`hello from ${host.runtime} ${args.join(' ')}`);
  host.print(
    new TextDecoder().decode(host.readFile('/proc/self/status')).match(/VmRSS:\s+\d+ kB/)?.[0] ?? '?',
  );
});
