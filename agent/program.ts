/**
 * What the program `agent` does, on either runtime: without arguments, as process 1 of an initramfs, it boots the node; `keeper ...`
 * keeps a disk attached, in the processes that one starts; on a system that is up it does what its verb says. Each is loaded
 * only where it is wanted: a node that boots waits for no verbs, and a keeper for nothing else.
 */
import type { Host } from './linux/host.ts';

export async function program(host: Host, args: readonly string[]): Promise<void> {
  const [verb, ...rest] = args;
  // With a disk and an imager: nobody else has a reason to say it.
  if (verb === 'keeper' && rest.length > 2) {
    const { keepDisk } = await import('./linux/keeper.ts');
    return keepDisk(host, rest);
  }
  if (verb === 'supervise') {
    const { supervise } = await import('./supervise.ts');
    return host.exit(await supervise(host, rest));
  }
  // The kernel's command line is no technician's: what it leaves to process 1 names no verb. That of a container has /proc.
  if (host.processId === 1 && !host.exists('/proc/self')) {
    const { bootNode } = await import('./main.ts');
    return bootNode(host);
  }
  const { runVerb } = await import('./verbs/run.ts');
  host.exit(runVerb(host, args));
}
