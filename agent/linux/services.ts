/** Hands the machine to the disk's own init and waits until its services answer. */
import type { Services } from '../ports.ts';
import type { Host } from './host.ts';

const LOOPBACK = '127.0.0.1';
const PROBE_MS = 500;
const PAUSE_MS = 20;

export function serviceStarter(host: Host): Services {
  return {
    async start({ init, ports, timeoutSeconds }) {
      host.configureInterface('lo', LOOPBACK, 8);
      host.handOverInit(init);
      const deadline = host.uptime() + timeoutSeconds;
      for (const port of ports) {
        while (!(await accepts(host, port))) {
          if (host.uptime() > deadline)
            return `${init.join(' ')}: port ${port} accepts no connection within ${timeoutSeconds} s`;
          await host.sleep(PAUSE_MS);
        }
      }
      return undefined;
    },
  };
}

async function accepts(host: Host, port: number): Promise<boolean> {
  try {
    const connection = await host.connect(LOOPBACK, port, PROBE_MS);
    connection.close();
    return true;
  } catch {
    return false;
  }
}
