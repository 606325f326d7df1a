/** Starts programs/loopback.ts, the server alone in its process, for tests that kill it or ask more of it than it can. */
import { spawn } from 'node:child_process';
import { bundle } from '../support/inside.ts';

export interface LoopbackServer {
  port: number;
  /** Resolves when it is gone. */
  kill(): Promise<void>;
  /** Ends it as a service manager does and gives its counters, and `rss` in bytes. */
  stop(): Promise<Record<string, number>>;
}

/** `folder`: where it keeps its leases. */
export async function startLoopbackServer(folder: string): Promise<LoopbackServer> {
  const program = await bundle('test/dhcp/programs/loopback.ts');
  const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      output += chunk;
      const ready = /^ready (\d+)$/m.exec(output);
      if (ready !== null) resolve(Number(ready[1]));
    });
    void gone.then(() => reject(new Error(`server ended:\n${output}`)));
  });
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    await gone;
  };
  return {
    port,
    kill: () => end('SIGKILL'),
    stop: async () => {
      await end('SIGTERM');
      return JSON.parse(/^stats (.*)$/m.exec(output)![1]!) as Record<string, number>;
    },
  };
}
