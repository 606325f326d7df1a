/** A machine under QEMU that runs by itself and switches itself off. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Runs `argv` with the serial line on standard output; gives what it said. Rejects where the machine is not off after so many
 * seconds, or QEMU fails, with what was said till then.
 */
export async function runMachine(seconds: number, argv: readonly string[]): Promise<string> {
  const alone = ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-serial', 'stdio'];
  const machine = spawn('timeout', [String(seconds), ...argv, ...alone], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  machine.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(machine, 'close');
  if (code !== 0) throw new Error(`${argv[0]} ended with ${code}:\n${said}`);
  return said;
}

/** What test/firmware/programs/ print: their lines `STEP TEXT`. */
export function stepsIn(said: string): string[] {
  return [...said.matchAll(/STEP (.*?)\r?$/gm)].map(([, step]) => step!);
}
