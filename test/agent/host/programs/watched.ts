/** Process 1 with a watchdog of four seconds: well for three times as long; then it hangs, or takes its leave and hangs. */
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host) => {
  host.mount('proc', '/proc', 'proc', '');
  host.mount('dev', '/dev', 'devtmpfs', 'mode=755');
  const text = (path: string) => new TextDecoder().decode(host.readFile(path)).trim();
  for (const path of text('/modules/order').split('\n')) host.loadModule(path);
  const watchdog = host.startWatchdog('/dev/watchdog', 4);
  host.print(`STEP watched ${watchdog.seconds}`);
  for (const began = host.uptime(); host.uptime() < began + 12; ) {
    watchdog.pulse();
    await host.sleep(500);
  }
  host.print('STEP healthy');
  const leaves = text('/proc/cmdline').includes('leave');
  if (leaves) watchdog.stop();
  // Its feeder goes on, and must not feed.
  for (const began = host.uptime(); host.uptime() < began + (leaves ? 6 : 12); );
  host.print('STEP survived');
  host.reboot('poweroff');
});
