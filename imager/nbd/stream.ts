/**
 * The byte stream of one connection while requests are served: Node's socket (stream-plain.ts), which TLS needs, or a
 * native one (stream-native.ts), which costs less for each request (README.md). One contract.
 */
import type { FilePart } from '../disks/disk.ts';

export interface StreamListener {
  /** `bytes` came in. They are good until the call returns, longer only for who calls `keep` meanwhile. */
  receive(bytes: Buffer): void;
  /** All that was sent has been taken by the system. */
  drained(): void;
  /** The other side sends no more, or the connection is broken: `error` tells how. */
  ended(error?: NodeJS.ErrnoException): void;
  /** The descriptor is closed; nothing follows. */
  closed(): void;
}

export interface Stream {
  /** Bytes that were handed to `send` and that the system has not taken yet. */
  readonly unsent: number;
  /** Hands over what comes in from now on. Called once, before all else. */
  listen(listener: StreamListener): void;
  /** Nothing is received any more until `resume`. */
  pause(): void;
  resume(): void;
  /** The next bytes go to `target` instead of to the listener; `filled` is called when all of it is there. */
  fill(target: Buffer, filled: () => void): void;
  /** What is being filled is not written to any more; what comes next is the listener's again. */
  stopFilling(): void;
  /** Called while bytes are received: keeps them as they are until the function it gives is called. */
  keep(): () => void;
  /** Sends `bytes`, which are in use until `sent` is called; that may be at once. */
  send(bytes: Buffer, sent: () => void): void;
  /** Whether parts of files can be sent now, from where they are, and better so: not while anything waits to be sent. */
  readonly takesFiles: boolean;
  /**
   * Sends `bytes`, which are few, and `part` behind them, as far as the system takes it at once; gives how many bytes that
   * were. What is left is to be read and sent with `send`.
   */
  sendFile(bytes: Buffer, part: FilePart): number;
  /** Has `quiet` called each time nothing came in and nothing left for about `ms` milliseconds; 0: no more. */
  watchQuiet(ms: number, quiet: () => void): void;
  /** Sends what is left and then the end of the stream. Bytes that come in go on being received. */
  end(): void;
  /** Closes the connection, whatever is left to send. */
  destroy(): void;
}
