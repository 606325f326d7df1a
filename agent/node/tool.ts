/** The system's own tools, for what Node has no calls of: mount, ip, chattr and the like. */
import { execFileSync } from 'node:child_process';
import { HostError } from '../linux/host.ts';

export const TOOL_MS = 30_000;

/** Runs one of the system's tools; its own words are the error. */
export function tool(argv: [string, ...string[]]): void {
  const [file, ...args] = argv;
  try {
    execFileSync(file, args, { timeout: TOOL_MS, stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr, status } = error as { code?: string; stderr?: Buffer; status?: number | null };
    if (code === 'ENOENT') throw new HostError('ENOENT', `${file}: not installed on this system`);
    const words = stderr?.toString().trim();
    throw new HostError(code ?? 'EIO', `${argv.join(' ')}: ${words || `exit ${status}`}`);
  }
}
