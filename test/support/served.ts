/** `imager serve` as a process on loopback addresses, and what can be asked of it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type RequestOptions, request } from 'node:http';
import { join } from 'node:path';
import type { RecordedEvent } from '../../imager/journal/event.ts';
import { type Ended, imagerProgram, runVerb } from './imager-verbs.ts';

export interface Answer {
  status: number;
  text: string;
}

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

  /** Events of a node behind the one with id `after`. */
  async events(node: string, after: number): Promise<RecordedEvent[]> {
    const { text } = await this.get(`/api/events?node=${node}&after=${after}`);
    return JSON.parse(text) as RecordedEvent[];
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }
}

function ask(to: RequestOptions & { path: string }, body?: object): Promise<Answer> {
  const how = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' } };
  return new Promise((resolve, reject) => {
    const sent = request({ ...to, ...how, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        // Has no end of its own.
        if (to.path.endsWith('/stream')) response.destroy();
      });
      response.once('close', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.once('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}
