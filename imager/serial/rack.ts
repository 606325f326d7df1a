/** The same work on many ports at once, each with its own end, and each write on record. */
import { wordsOf } from '../../agent/protocol/words-of.ts';
import type { AuditEntry, AuditTrail } from './audit.ts';
import { SerialFailure } from './failure.ts';
import { openPort } from './port.ts';
import type { Progress } from './progress.ts';
import { runOnLine } from './run.ts';
import type { LineState, Task } from './task.ts';

export type PortResult<T> =
  | { port: string; ok: true; value: T }
  | { port: string; ok: false; failure: SerialFailure };

type Writing = Extract<Progress, { step: 'writing' }>;

export interface RackOptions<T> {
  ports: readonly string[];
  baud: number;
  task: (port: string, line: LineState) => Task<T>;
  /** Where writes are recorded before they begin: one that cannot be is not begun. */
  audit: AuditTrail;
  tell(port: string, progress: Progress): void;
  ended(result: PortResult<T>): void;
}

/** Resolves with one result a port, in the order of the ports: whatever goes wrong is that port's own. */
export function onPorts<T>(options: RackOptions<T>): Promise<PortResult<T>[]> {
  return Promise.all(
    options.ports.map(async (port) => {
      const result = await onPort(port, options);
      options.ended(result);
      return result;
    }),
  );
}

async function onPort<T>(port: string, options: RackOptions<T>): Promise<PortResult<T>> {
  const { baud, task, audit } = options;
  let begun: Writing | undefined;
  const tell = (progress: Progress) => {
    if (progress.step === 'writing') {
      record(audit, port, progress, 'begun');
      begun = progress;
    }
    if (progress.step === 'verified' && begun !== undefined) {
      const verified = begun;
      begun = undefined;
      record(audit, port, verified, 'verified');
    }
    options.tell(port, progress);
  };
  try {
    const line = await openPort(port, baud);
    try {
      tell({ step: 'waiting' });
      const value = await runOnLine(line, { task: (state) => task(port, state), baud, tell });
      return { port, ok: true, value };
    } finally {
      await line.close();
    }
  } catch (error) {
    const failure = failureOf(error);
    return {
      port,
      ok: false,
      failure: begun === undefined ? failure : recordFailed(audit, port, begun, failure),
    };
  }
}

/** What is no SerialFailure nobody foresaw: the other ports go on all the same. */
function failureOf(error: unknown): SerialFailure {
  if (error instanceof SerialFailure) return error;
  const why = wordsOf(error);
  return new SerialFailure('failed', why, { cause: error });
}

/** Puts a failed write on record. Gives the failure, with what became of the record where it could not be made. */
function recordFailed(
  audit: AuditTrail,
  port: string,
  begun: Writing,
  failure: SerialFailure,
): SerialFailure {
  try {
    record(audit, port, begun, 'failed', failure.message);
    return failure;
  } catch (error) {
    return new SerialFailure(failure.kind, `${failure.message}; and ${failureOf(error).message}`);
  }
}

function record(
  audit: AuditTrail,
  port: string,
  { identity, old, pointer }: Writing,
  event: AuditEntry['event'],
  why?: string,
): void {
  const { uid, via } = identity;
  try {
    audit.append({ event, port, uid, via, old, new: pointer, ...(why === undefined ? {} : { why }) });
  } catch (error) {
    const done = event === 'verified' ? 'the pointer was written and verified, but ' : '';
    const reason = failureOf(error).message;
    throw new SerialFailure('refused', `${done}the audit trail ${audit.path} cannot be written: ${reason}`);
  }
}
