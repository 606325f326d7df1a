/** Runs the configured power commands of nodes. */
import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

const TIMEOUT_MS = 60_000;
/** Time for output that is still on its way when the command has ended. */
const DRAIN_MS = 100;
/** Characters kept of what a command prints. */
const KEPT = 1000;

/**
 * Runs `argv` in `directory`, without a shell, and resolves once it has ended well: what it leaves running in the
 * background (an emulator, say) may run on. Rejects with what it printed where it fails, or takes longer than
 * `timeoutMs`: then it is killed with all processes of its group.
 */
export async function runPowerCommand(
  argv: readonly string[],
  directory: string,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const [program = '', ...args] = argv;
  // Detached: the leader of a process group of its own, which can be killed as a whole.
  const child = spawn(program, args, { cwd: directory, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) =>
      resolve(code === 0 ? undefined : signal === null ? `exit ${code}` : `ended by ${signal}`),
    );
  });
  // There are none where it could not be started for want of file descriptors.
  const streams: (Readable | undefined)[] = [child.stderr, child.stdout];
  const outputs = streams.filter((stream) => stream !== undefined).map(tailOf);
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    // The group is there as long as the command is: it cannot be another's.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, timeoutMs);
  const how = await ended;
  clearTimeout(deadline);
  if (how === undefined) return;
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, DRAIN_MS))]);
  const output = outputs
    .map((read) => read())
    .join('')
    .trim()
    .slice(-KEPT);
  const why = late ? `took longer than ${timeoutMs / 1000} s` : how;
  throw new Error(`power command ${argv.join(' ')}: ${why}${output === '' ? '' : `: ${output}`}`);
}

/**
 * Reads `stream` to its end and gives the end of what it said so far. It may stay open for as long as a process in
 * the background does: that is read on, so that nobody writes into a broken pipe, but keeps nobody waiting.
 */
function tailOf(stream: Readable & { unref?(): void }): () => string {
  let tail = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    tail = (tail + text).slice(-KEPT);
  });
  stream.unref?.();
  return () => tail;
}
