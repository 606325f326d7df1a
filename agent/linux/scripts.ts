/** User-configuration scripts, run on the node's disk as they were installed (journal.ts). */
import type { ScriptEnd, Scripts } from '../ports.ts';
import type { Script } from '../protocol/messages.ts';
import { type Host, HostError } from './host.ts';
import { SCRIPT_DIRECTORY } from './journal.ts';
import { OutputTail } from './output-tail.ts';
import { checkScript } from './trust.ts';

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function scriptRunner(host: Host): Scripts {
  const pathOf = ({ name }: Script) => `${SCRIPT_DIRECTORY}/${name}`;
  return {
    check: (script) => checkScript(host, pathOf(script), script),
    async run(script, pointer, image) {
      const path = pathOf(script);
      // Once more: the write of the journal may have waited long for an imager.
      checkScript(host, path, script);
      const argv = script.content.startsWith('#!') ? [path] : ['/bin/sh', path];
      const env = {
        PATH,
        HOME: '/root',
        BOOTWRIGHT_STAGE: String(script.stage),
        BOOTWRIGHT_IMAGE: image,
        BOOTWRIGHT_CLUSTER: pointer.cluster,
        BOOTWRIGHT_DEPLOYMENT: pointer.deployment,
      };
      try {
        const end = await host.run(argv, { timeoutMs: script.timeoutSeconds * 1000, env });
        return { ...end, output: tailOf(end.output) };
      } catch (error) {
        return notStarted(error);
      }
    },
  };
}

/** Bytes that are no UTF-8 have become characters of three bytes each. */
function tailOf(output: string): string {
  const tail = new OutputTail();
  tail.push(new TextEncoder().encode(output));
  return tail.text();
}

/** An interpreter that is not there is the script's failure, and its own policy's to deal with (POSIX, exit status of a shell). */
function notStarted(error: unknown): ScriptEnd {
  if (!(error instanceof HostError)) throw error;
  return { code: error.code === 'ENOENT' ? 127 : 126, timedOut: false, output: `${error.message}\n` };
}
