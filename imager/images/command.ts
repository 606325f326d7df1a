/** Runs the machine's own tools (apt, dpkg-deb, mke2fs, ...) for those who build images. */
import { spawn } from 'node:child_process';

/** A tool that is missing or failed: what was run, and what it said. */
export class CommandError extends Error {}

export interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Milliseconds until the tool is killed and the call fails. Default ten minutes. */
  timeoutMs?: number;
  input?: Uint8Array;
  /** The tool is killed and the call fails where it prints more. */
  maxBytes?: number;
  /** Debian package that brings the tool, named where it is missing. */
  package?: string;
}

/** Runs `argv` to its end and gives its standard output. Rejects with CommandError. */
export function command(argv: readonly string[], options: CommandOptions = {}): Promise<Buffer> {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // Users other than root have no sbin in their path: mke2fs and its kin are there.
    env: { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`, ...options.env },
    timeout: options.timeoutMs ?? 600_000,
    killSignal: 'SIGKILL',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output: Buffer[] = [];
  let problem = '';
  let printed = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    output.push(chunk);
    printed += chunk.length;
    if (printed > (options.maxBytes ?? Number.POSITIVE_INFINITY)) child.kill('SIGKILL');
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    problem = (problem + chunk).slice(-4000);
  });
  if (options.input !== undefined) {
    // A tool that ends early has its own message; the broken pipe adds nothing.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input);
  }
  return new Promise((resolve, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => {
      const hint = options.package === undefined ? '' : ` (apt-get install ${options.package})`;
      reject(
        new CommandError(
          error.code === 'ENOENT' ? `${file} is not installed${hint}` : `${file}: ${error.message}`,
        ),
      );
    });
    child.once('close', (code, signal) => {
      if (printed > (options.maxBytes ?? Number.POSITIVE_INFINITY))
        reject(new CommandError(`${argv.join(' ')}: more than ${options.maxBytes} bytes`));
      else if (code === 0) resolve(Buffer.concat(output));
      else reject(new CommandError(`${argv.join(' ')}: ${signal ?? `exit ${code}`}\n${problem.trim()}`));
    });
  });
}
