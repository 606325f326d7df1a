/** How verbs fail, and the exit code each failure has. */

export const EXIT_CODES = `Exit codes:
  0  done
  1  failed: the message says what and why
  2  wrong usage, or a fault in the configuration file
  3  the imager is not running, or cannot be reached`;

/** The imager was reached and said no, or what was asked for failed on the way. */
export class VerbError extends Error {
  readonly exitCode = 1;
}

/** Nothing answers on the control socket. */
export class NotReachableError extends Error {
  readonly exitCode = 3;
}

/** There is no imager that could be asked. */
export class NotRunningError extends NotReachableError {}
