/** A serial cable to a node of the rig: a pty that any program can open, npm `serialport` included (cable.c is the cable). */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { projectFile } from './project.ts';

/** More than this that nobody reads is lost: a port that is open and not read must not fill the memory. */
const MOST_UNREAD = 1024 * 1024;

export class SerialCable {
  /** What a technician's tool opens, `/dev/pts/N`. */
  readonly port: string;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown>;

  private constructor(port: string, process: ChildProcessWithoutNullStreams, ended: Promise<unknown>) {
    this.port = port;
    this.#process = process;
    this.#ended = ended;
  }

  /** `onBytes` is called with what is written to the port. Needs `make build`. */
  static async plug(onBytes: (bytes: Buffer) => void): Promise<SerialCable> {
    const cable = spawn(projectFile('dist/firmware-stubs/rig/cable'));
    const ended = once(cable, 'close');
    // It may end at any moment: that is a cable that was pulled.
    for (const stream of [cable.stdin, cable.stdout, cable.stderr]) stream.on('error', () => {});
    cable.stdout.on('data', onBytes);
    let said = '';
    const port = await new Promise<string>((resolve, reject) => {
      cable.stderr.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
        if (/^\/dev\/\S+\n/.test(said)) resolve(said.trim());
      });
      ended.then(
        () => reject(new Error(`no serial cable: ${said.trim()}`)),
        ({ message }: Error) => reject(new Error(`no serial cable, run "make build": ${message}`)),
      );
    });
    return new SerialCable(port, cable, ended);
  }

  /** Puts what the node sent on the port. Lost where nobody has it open. */
  send(bytes: Uint8Array): void {
    const { stdin } = this.#process;
    if (stdin.writableLength < MOST_UNREAD) stdin.write(bytes);
  }

  /** Takes the port away from under whoever has it open. Resolves when it is gone. */
  async pull(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}
