/** The same work on many ports at once, each with its own end, and each write on record. */
import type { AuditEntry, AuditTrail } from './audit.ts';
import { SerialFailure } from './failure.ts';
import { openPort } from './port.ts';
import type { Progress } from './progress.ts';
import { runOnLine } from './run.ts';
import type { LineState, Task } from './task.ts';

export type PortResult<T> =
  | { port: string; ok: true; value: T }
  | { port: string; ok: false; failure: SerialFailure };

export interface RackOptions<T> {
  ports: readonly string[];
  baud: number;
  task: (port: string, line: LineState) => Task<T>;
  /** Where writes are recorded before they begin: one that cannot be is not begun. */
  audit: AuditTrail;
  tell(port: string, progress: Progress): void;
  ended(result: PortResult<T>): void;
}

/** Resolves with one result a port, in the order of the ports. Rejects for what is no SerialFailure. */
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
  let begun: Extract<Progress, { step: 'writing' }> | undefined;
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
    if (!(error instanceof SerialFailure)) throw error;
    return {
      port,
      ok: false,
      failure: begun === undefined ? error : recordFailed(audit, port, begun, error),
    };
  }
}

/** Puts a failed write on record. Gives the failure, with what became of the record where it could not be made. */
function recordFailed(
  audit: AuditTrail,
  port: string,
  begun: Extract<Progress, { step: 'writing' }>,
  failure: SerialFailure,
): SerialFailure {
  try {
    record(audit, port, begun, 'failed', failure.message);
    return failure;
  } catch (error) {
    if (!(error instanceof SerialFailure)) throw error;
    return new SerialFailure(failure.kind, `${failure.message}; and ${error.message}`);
  }
}

function record(
  audit: AuditTrail,
  port: string,
  { identity, old, pointer }: Extract<Progress, { step: 'writing' }>,
  event: AuditEntry['event'],
  why?: string,
): void {
  const { uid, via } = identity;
  try {
    audit.append({ event, port, uid, via, old, new: pointer, ...(why === undefined ? {} : { why }) });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const done = event === 'verified' ? 'the pointer was written and verified, but ' : '';
    throw new SerialFailure('refused', `${done}the audit trail ${audit.path} cannot be written: ${reason}`);
  }
}
