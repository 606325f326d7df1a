/** User-configuration scripts, run on the node's disk as they were installed (journal.ts). */
import type { Scripts } from '../ports.ts';
import type { Host } from './host.ts';
import { SCRIPT_DIRECTORY } from './journal.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function scriptRunner(host: Host): Scripts {
  return {
    async run(script, pointer) {
      const path = `${SCRIPT_DIRECTORY}/${script.name}`;
      const argv = script.content.startsWith('#!') ? [path] : ['/bin/sh', path];
      const env = {
        PATH,
        HOME: '/root',
        BOOTWRIGHT_STAGE: String(script.stage),
        BOOTWRIGHT_IMAGE: pointer.image,
        BOOTWRIGHT_CLUSTER: pointer.cluster,
        BOOTWRIGHT_DEPLOYMENT: pointer.deployment,
      };
      const { code, output, timedOut } = await host.run(argv, {
        timeoutMs: script.timeoutSeconds * 1000,
        env,
      });
      if (timedOut) return `no end within ${script.timeoutSeconds} s; ${tail(output)}`;
      return code === 0 ? undefined : `exit ${code}; ${tail(output)}`;
    },
  };
}

function tail(output: string): string {
  return output.trim() === '' ? 'no output' : output.trim().split('\n').slice(-3).join(' | ').slice(-1000);
}
