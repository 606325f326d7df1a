/** A TPM 2.0 in software (Debian's `swtpm`), with a state of its own in a folder. */
import { execFileSync, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { endsWithTest } from './ends-with-test.ts';

export interface SoftTpm {
  /** Commands go to this socket, one at a time; of a machine's TPM the emulator's control messages. */
  socket: string;
  stop(): Promise<void>;
}

/** Started, and ready for commands (`commands`) or for QEMU's `-tpmdev emulator` (`machine`). */
export async function startTpm(folder: string, use: 'commands' | 'machine'): Promise<SoftTpm> {
  const socket = join(folder, 'tpm.sock');
  const ends = {
    commands: ['--server', `type=unixio,path=${socket}`, '--flags', 'not-need-init,startup-clear'],
    machine: ['--ctrl', `type=unixio,path=${socket}`],
  };
  const child = endsWithTest(
    spawn('swtpm', ['socket', '--tpm2', '--tpmstate', `dir=${folder}`, ...ends[use]], { stdio: 'ignore' }),
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // The socket is there before anybody listens on it.
  while (!(await isListening(socket))) {
    if (child.exitCode !== null) throw new Error(`swtpm ended with exit code ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return {
    socket,
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}

function isListening(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => connection.end());
    connection.once('error', () => resolve(false));
    connection.once('close', (failed) => resolve(!failed));
    connection.resume();
  });
}

/** One command and its answer. */
export function askTpm({ socket }: SoftTpm, command: Uint8Array): Uint8Array {
  // socat closes its side behind the command and waits for the answer.
  return execFileSync('socat', ['-t', '60', '-', `UNIX-CONNECT:${socket}`], { input: command });
}

/** Runs one of `tpm2-tools` against it, and gives what it printed. */
export function tpmTool({ socket }: SoftTpm, argv: [string, ...string[]]): string {
  const [file, ...args] = argv;
  const env = { ...process.env, TPM2TOOLS_TCTI: `cmd:socat -t 60 - UNIX-CONNECT:${socket}` };
  return execFileSync(file, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
