/**
 * A private network and process namespace: what runs in it sees only its own interfaces, and the kernel ends all
 * of it when the holder goes, so that nothing is left behind even where this process is killed.
 * As root no user namespace is needed; otherwise one is made and mapped to root (`unshare --map-root-user`).
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { InsideProcess } from './inside.ts';

export interface CommandResult {
  /** Exit code; 128 + signal number where a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  /** Milliseconds until the command is killed and the promise rejects. Default 30,000. */
  timeoutMs?: number;
  input?: string;
  cwd?: string;
  env?: Record<string, string>;
}

export class NetworkNamespace {
  readonly #holder: ChildProcess;
  readonly #enter: string[];

  private constructor(holder: ChildProcess, enter: string[]) {
    this.#holder = holder;
    this.#enter = enter;
  }

  /** Makes a namespace with its loopback up. The holder reads from a pipe of ours: our end closing ends everything. */
  static async open(): Promise<NetworkNamespace> {
    const root = process.getuid?.() === 0;
    const flags = [
      ...(root ? [] : ['--user', '--map-root-user']),
      '--net',
      '--pid',
      '--fork',
      '--kill-child',
    ];
    const script = 'ip link set lo up && echo up && exec cat >/dev/null';
    const holder = spawn('unshare', [...flags, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'pipe'] });
    let problem = '';
    holder.stderr?.on('data', (chunk) => {
      problem += chunk;
    });
    await new Promise<void>((resolve, reject) => {
      holder.once('error', (error) => reject(new Error(`cannot start unshare: ${error.message}`)));
      holder.once('exit', (code) =>
        reject(new Error(`no network namespace (unshare ended with ${code}): ${problem.trim()}`)),
      );
      holder.stdout?.once('data', () => resolve());
    });
    const init = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').trim();
    const user = root ? [] : ['--user', '--preserve-credentials'];
    return new NetworkNamespace(holder, ['nsenter', '--target', init, ...user, '--net', '--pid']);
  }

  /** Starts a command inside. The caller owns its pipes; it ends with the namespace at the latest. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [command, ...args] = [...this.#enter, ...argv];
    return spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  }

  /** Runs a command inside to its end. Rejects where it cannot start or runs past its time. */
  run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const { timeoutMs = 30_000, input, cwd, env } = options;
    const child = this.spawn(argv, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, ...env },
    });
    const inside = new InsideProcess(child);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    if (input !== undefined) child.stdin?.end(input);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        void inside.end('SIGKILL');
        reject(new Error(`${argv.join(' ')}: no end after ${timeoutMs} ms\n${stdout}${stderr}`));
      }, timeoutMs);
      child.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.once('close', (code, signal) => {
        clearTimeout(timer);
        resolve({ code: code ?? 128 + (signal === null ? 0 : constants.signals[signal]), stdout, stderr });
      });
    });
  }

  /** Runs a command and gives its standard output; rejects with its error output where it fails. */
  async check(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
    const result = await this.run(argv, options);
    if (result.code !== 0)
      throw new Error(`${argv.join(' ')}: exit ${result.code}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  }

  /** Ends everything inside; resolves when the kernel is done with it. */
  async close(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#holder.once('exit', () => resolve()));
    this.#holder.stdin?.end();
    await gone;
  }
}
