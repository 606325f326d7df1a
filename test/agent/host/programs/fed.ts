/**
 * An agent with a watchdog of two seconds at the path it is given; runs a program where one is named; takes its leave when its
 * standard input says something.
 */
import * as bw from 'bw';
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host, [device = '', program]) => {
  const watchdog = host.startWatchdog(device, 2);
  let fed = true;
  void (async () => {
    while (fed) {
      watchdog.pulse();
      await host.sleep(200);
    }
  })();
  if (program !== undefined) await host.run([program], { timeoutMs: 60_000 });
  // Nothing else reads here: a read that waits would hold the event loop.
  while (bw.poll([0, 1], 0)[0] === 0) await host.sleep(100);
  fed = false;
  watchdog.stop();
});
