/** What every verb needs: the configuration, the imager behind its control socket, and where output goes. */

import type { Command } from 'commander';
import { plain } from '../../agent/protocol/plain.ts';
import { controlSocketPath, type ImagerSettings } from '../model/config.ts';
import { loadSettings } from '../model/load.ts';
import { collect, exchange, open } from './control.ts';
import { NotReachableError, NotRunningError, VerbError } from './failure.ts';
import { plainJson } from './terminal.ts';

interface GlobalOptions {
  config?: string;
  json?: boolean;
}

export class Context {
  readonly configFile: string;
  readonly json: boolean;
  #config: ImagerSettings | undefined;

  constructor(command: Command) {
    const options = command.optsWithGlobals<GlobalOptions>();
    this.configFile = options.config ?? process.env.IMAGER_CONFIG ?? 'imager.yaml';
    this.json = options.json === true;
  }

  /** The checked configuration, but for the files it names. Throws ConfigError. */
  get config(): ImagerSettings {
    this.#config ??= loadSettings(this.configFile);
    return this.#config;
  }

  get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>('POST', path, JSON.stringify(body));
  }

  /**
   * Calls `take` with name and value of each server-sent event (HTML standard, section 9.2) until the imager ends the
   * stream, or hangs.
   */
  async stream(path: string, take: (name: string, value: unknown) => void): Promise<void> {
    const socketPath = controlSocketPath(this.config);
    const response = await open(socketPath, 'GET', path).catch((error: NodeJS.ErrnoException) => {
      throw this.#unreachable(socketPath, error);
    });
    if (response.statusCode !== 200) {
      const answer = parseAnswer(await collect(response)) as { error?: string };
      throw new VerbError(answer.error ?? `the imager answered ${response.statusCode}`);
    }
    response.setEncoding('utf8');
    let text = '';
    try {
      for await (const chunk of response) {
        const events = `${text}${chunk}`.split('\n\n');
        text = events.pop() ?? '';
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event)?.[1];
          if (data !== undefined) take(/^event: (.*)$/m.exec(event)?.[1] ?? 'message', JSON.parse(data));
        }
      }
    } catch (error) {
      // An imager that is killed, or hangs, ends the stream in the middle.
      const ended =
        error instanceof NotReachableError || (error as NodeJS.ErrnoException).code === 'ECONNRESET';
      if (!ended) throw error;
    }
  }

  /** Prints `value` as JSON where asked for, else what `text` makes of it. */
  print<T>(value: T, text: (value: T) => string): void {
    process.stdout.write(`${this.json ? plainJson(value) : plain(text(value))}\n`);
  }

  /** A line about work under way: on standard error, so that results stay clean. */
  readonly progress = (line: string): void => {
    process.stderr.write(`${plain(line)}\n`);
  };

  async #call<T>(method: string, path: string, body?: string): Promise<T> {
    const socketPath = controlSocketPath(this.config);
    const { status, text } = await exchange(socketPath, method, path, body).catch(
      (error: NodeJS.ErrnoException) => {
        throw this.#unreachable(socketPath, error);
      },
    );
    const answer = parseAnswer(text);
    if (status < 400) return answer as T;
    throw new VerbError((answer as { error?: string }).error ?? `the imager answered ${status}`);
  }

  #unreachable(socketPath: string, error: NodeJS.ErrnoException): NotReachableError {
    if (error instanceof NotReachableError) return error;
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED')
      return new NotRunningError(
        `no imager is running for ${this.configFile} (nothing listens on ${socketPath}): ` +
          `start it with "imager serve --config ${this.configFile}"`,
      );
    if (error.code === 'EACCES')
      return new NotReachableError(
        `no permission for ${socketPath}: run this as the user who started the imager`,
      );
    return new NotReachableError(`the imager behind ${socketPath} does not answer: ${error.message}`);
  }
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new VerbError(`the imager's answer is not JSON: ${text.slice(0, 200)}`);
  }
}
