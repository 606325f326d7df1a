/** How work on a serial line fails. Each kind has its own words, and its own exit code in imager/cli. */

export type SerialFailureKind =
  /** There is no such port, or this user may not open it. */
  | 'port'
  /** Another program has the port. */
  | 'in-use'
  /** Nothing that was asked for came back. */
  | 'unanswered'
  /** Bytes come that are neither text nor frames: another baud rate. */
  | 'garbled'
  /** The port is gone, or the node fell silent in the middle. */
  | 'pulled'
  /** The node lets itself be read at most. */
  | 'locked'
  /** The store holds something else than it should. */
  | 'verify'
  /** The node, or this end, said no. */
  | 'refused'
  /** Something that this end did not foresee. */
  | 'failed';

export class SerialFailure extends Error {
  readonly kind: SerialFailureKind;

  constructor(kind: SerialFailureKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
