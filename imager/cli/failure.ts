/** How verbs fail, and the exit code each failure has. */

export const EXIT_CODES = `Exit codes:
  0  done
  1  failed: the message says what and why
  2  wrong usage, or a fault in the configuration file
  3  the imager is not running, or cannot be reached
  4 to 10  "imager serial": its help says which`;

/** For the help of verbs that go through the imager alone. */
export const NEEDS_IMAGER = '\nNeeds a running imager: exit code 3 without one.\n';

/** The imager was reached and said no, or what was asked for failed on the way. */
export class VerbError extends Error {
  readonly exitCode = 1;
}

/** What was asked for cannot be done as it was asked for; nothing was begun. */
export class UsageError extends Error {
  readonly exitCode = 2;
}

/** Work on serial ports failed; `exitCode` tells how (serial.ts). */
export class SerialError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Nothing answers on the control socket. */
export class NotReachableError extends Error {
  readonly exitCode = 3;
}

/** There is no imager that could be asked. */
export class NotRunningError extends NotReachableError {}
