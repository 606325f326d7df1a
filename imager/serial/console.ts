/** A node's console in a terminal: what it says to `output` and a log, what is typed to the node. */
import type { Readable, Writable } from 'node:stream';
import { SerialFrameReader } from '../../agent/protocol/serial/frame.ts';
import { SerialFailure } from './failure.ts';
import type { Line } from './port.ts';

/** Ctrl-], as telnet has it. */
const LEAVE = 0x1d;

export interface ConsoleOptions {
  input: Readable;
  output: Writable;
  /** Takes the same bytes as `output`. */
  log?: Writable;
}

/** Resolves when Ctrl-] is typed. Rejects with SerialFailure `pulled` where the port goes, `refused` where the log cannot be
 * written. Input that ends leaves it open. */
export function attachConsole(line: Line, { input, output, log }: ConsoleOptions): Promise<void> {
  const reader = new SerialFrameReader();
  return new Promise((resolve, reject) => {
    line.onData((bytes) => {
      for (const item of reader.push(bytes)) {
        if (item.kind !== 'text') continue;
        output.write(item.bytes);
        log?.write(item.bytes);
      }
    });
    log?.on('error', ({ message }) =>
      reject(new SerialFailure('refused', `the log cannot be written: ${message}`)),
    );
    line.onGone((why) =>
      reject(new SerialFailure('pulled', `the port is gone: was the cable pulled? (${why})`)),
    );
    input.on('data', (typed: Buffer) => {
      const leave = typed.indexOf(LEAVE);
      const bytes = leave === -1 ? typed : typed.subarray(0, leave);
      if (bytes.length > 0) line.write(bytes);
      if (leave !== -1) resolve();
    });
  });
}
