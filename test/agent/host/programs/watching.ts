/** An agent that watches over itself, with the path it is given in the place of the hardware; ends by itself once its standard input says something. */
import * as bw from 'bw';
import type { Host } from '../../../../agent/linux/host.ts';
import { watchOver } from '../../../../agent/linux/watchdog.ts';
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host, [device = '']) => {
  const watched: Host = Object.assign(Object.create(host), {
    exists: () => true,
    startWatchdog: (_: string, seconds: number) => host.startWatchdog(device, seconds),
  });
  const watchdog = watchOver(watched, 2);
  while (bw.poll([0, 1], 0)[0] === 0) await host.sleep(100);
  watchdog?.stop();
  host.print('well');
});
