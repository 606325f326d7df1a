/**
 * The hardware watchdog of a node that has one: fed while the agent's event loop turns, and while the agent waits for its disk
 * (Host.startWatchdog). What is no reason to restart a node: an imager that is away, a disk that is away, services that fail.
 */
import { wordsOf } from '../protocol/words-of.ts';
import type { Host, Watchdog } from './host.ts';

const DEVICE = '/dev/watchdog';
/** Pulses in the time after which the machine restarts. */
const PULSES = 6;

/** Starts it, where `seconds` says so and there is one. Nothing a node does depends on it: what is wrong is said. */
export function watchOver(host: Host, seconds: number | undefined): Watchdog | undefined {
  if (seconds === undefined || !host.exists(DEVICE)) return undefined;
  try {
    const watchdog = host.startWatchdog(DEVICE, seconds);
    host.print(`bootwright: watchdog: ${watchdog.seconds} s`);
    const watched = { stopped: false };
    void feed(host, watchdog, watched);
    return {
      ...watchdog,
      stop() {
        watched.stopped = true;
        watchdog.stop();
      },
    };
  } catch (error) {
    complain(host, error);
    return undefined;
  }
}

/** To its end, or to that of what feeds the hardware: that has switched the hardware off, or the machine restarts. */
async function feed(host: Host, watchdog: Watchdog, watched: { stopped: boolean }): Promise<void> {
  while (!watched.stopped) {
    try {
      watchdog.pulse();
    } catch (error) {
      complain(host, error);
      return;
    }
    await host.sleep((watchdog.seconds * 1000) / PULSES);
  }
}

function complain(host: Host, error: unknown): void {
  host.print(`bootwright: watchdog: ${wordsOf(error)}`);
}
