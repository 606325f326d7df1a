/** `imager serve` as a process on loopback addresses, and what can be asked of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import type { Architecture } from '../../imager/images/image.ts';
import type { RecordedEvent } from '../../imager/journal/event.ts';
import { type Ended, imagerProgram, runVerb } from './imager-verbs.ts';

export interface Answer {
  status: number;
  text: string;
}

/** How its configuration begins: it takes what ports are free, and is asked for no addresses. */
export const ON_LOOPBACK = `state: ./state
cluster: demo
network: { address: 127.0.0.1, prefix: 8 }
ports: { tftp: 0, http: 0, nbd: 0, agent: 0 }
dhcp: { mode: off }`;

const configIn = (dir: string): string => join(dir, 'imager.yaml');

export class Served {
  readonly ports: { http: number; agent: number };
  readonly #child: ChildProcess;
  readonly #dir: string;
  readonly #said: () => string;

  private constructor(child: ChildProcess, dir: string, said: () => string) {
    this.#child = child;
    this.#dir = dir;
    this.#said = said;
    const port = (service: string) => Number(new RegExp(`${service}=[^ ]*:(\\d+)`).exec(said())![1]);
    this.ports = { http: port('http'), agent: port('agent') };
  }

  /** Starts it with the configuration `dir`/imager.yaml, whose state is `dir`/state; it logs all there is. */
  static async start(dir: string): Promise<Served> {
    const line = [await imagerProgram(), 'serve', '--config', configIn(dir), '--log-level', 'trace'];
    const child = spawn(process.execPath, ['--enable-source-maps', ...line], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', (chunk) => {
        said += chunk;
        if (/^ready .*\n/m.test(said)) resolve();
      });
      child.once('exit', (code) => reject(new Error(`the imager ended with ${code}:\n${said}`)));
    });
    return new Served(child, dir, () => said);
  }

  /** Everything it has printed and logged. */
  said(): string {
    return this.#said();
  }

  /** The command line. */
  run(...args: string[]): Promise<Ended> {
    return runVerb([...args, '--config', configIn(this.#dir)], { cwd: this.#dir });
  }

  /** An answer of the HTTP port. */
  get(path: string): Promise<Answer> {
    return ask({ host: '127.0.0.1', port: this.ports.http, path });
  }

  /** An answer of the control socket; a POST where there is a body. */
  control(path: string, body?: object): Promise<Answer> {
    return ask({ socketPath: join(this.#dir, 'state/control.sock'), path }, body);
  }

  /** Has something done over the control socket; throws where it is not. */
  async do(path: string, body: object): Promise<void> {
    const { status, text } = await this.control(path, body);
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`);
  }

  /** Adds an image of Linux. */
  async addImage(name: string, arch: Architecture, kernel: Uint8Array): Promise<void> {
    const files = { kernel: join(this.#dir, 'kernel'), initrd: join(this.#dir, 'initrd') };
    writeFileSync(files.kernel, kernel);
    writeFileSync(files.initrd, 'an initrd');
    await this.do('/control/images', { name, arch, ...files });
  }

  /** Events of a node behind the one with id `after`. */
  async events(node: string, after: number): Promise<RecordedEvent[]> {
    const { text } = await this.get(`/api/events?node=${node}&after=${after}`);
    return JSON.parse(text) as RecordedEvent[];
  }

  /** Stands still as one does that hangs: connections are still taken by the kernel. Until stop('SIGKILL'). */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }
}

/** What an HTTP server answers; a POST where there is a body. */
export function ask(to: RequestOptions & { path: string }, body?: object): Promise<Answer> {
  const how = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' } };
  return new Promise((resolve, reject) => {
    const sent = request({ ...to, ...how, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        // Has no end of its own.
        if (to.path.endsWith('/stream')) response.destroy();
      });
      response.once('error', reject);
      response.once('close', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.once('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}
