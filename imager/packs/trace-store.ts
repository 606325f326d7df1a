/** Traces beside their base images: BASES/NAME.trace, each read and written whole. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { replaceDurably } from '../storage/durable.ts';
import {
  type BaseImage,
  decodeTrace,
  encodeTrace,
  grown,
  type Run,
  type Trace,
  TraceError,
} from './trace.ts';

export class TraceStore {
  readonly #dir: string;
  readonly #log: Logger;

  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#log = log;
  }

  /**
   * The trace of `base`; undefined where there is none of this image. One that is damaged, or cannot be read, is as good as
   * none: nobody is to miss a disk for it.
   */
  read(base: string, image: BaseImage): Trace | undefined {
    try {
      return this.#stored(base, image);
    } catch (error) {
      this.#log.warn({ base, err: error }, 'what boots read of this base image cannot be read');
      return undefined;
    }
  }

  /** Throws the system's errors: what cannot be read just now is not to be replaced. */
  #stored(base: string, image: BaseImage): Trace | undefined {
    try {
      return decodeTrace(readFileSync(join(this.#dir, `${base}.trace`)), image);
    } catch (error) {
      if (error instanceof TraceError)
        this.#log.warn({ base }, `${error.message}; the next boot makes another`);
      else if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
  }

  /** Adds what a boot read. Gives the trace where it became another one, which is durable then. */
  add(base: string, image: BaseImage, runs: readonly Run[]): Trace | undefined {
    const trace = grown(this.#stored(base, image), image, runs);
    if (trace !== undefined) replaceDurably(this.#dir, `${base}.trace`, encodeTrace(trace));
    return trace;
  }
}
