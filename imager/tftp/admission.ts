/** Whether a read request gets a transfer: a pure decision over what is under way. */

export interface ActiveTransfer {
  key: string;
  /** Time-outs in a row; 0 while its file is being opened. */
  retries: number;
  /** When it last moved, milliseconds since the epoch. */
  progressAt: number;
}

export interface AdmissionLimits {
  maxTransfers: number;
  maxPerClient: number;
}

export type Admission =
  | { type: 'admit' }
  /** Admit in place of this one. */
  | { type: 'replace'; key: string }
  | { type: 'refuse'; reason: 'too-many-transfers' | 'too-many-per-client' };

/** What is under way when a client asks. */
export interface UnderWay {
  total: number;
  /** The client's own. */
  own: Iterable<ActiveTransfer>;
  /** Those whose client never answered, the oldest first. Looked at only where the server is full. */
  unproven: Iterable<ActiveTransfer>;
}

/**
 * A client at its limit loses its most silent transfer, since a node that reboots leaves those behind. A full server
 * gives up the oldest whose client never answered, since forged requests look like that: looking for it must cost little
 * while they pour in. Otherwise the request has to wait.
 */
export function admit({ total, own, unproven }: UnderWay, limits: AdmissionLimits): Admission {
  const mine = [...own];
  if (mine.length >= limits.maxPerClient)
    return replace(mostSilent(mine), { type: 'refuse', reason: 'too-many-per-client' });
  if (total < limits.maxTransfers) return { type: 'admit' };
  return replace(firstSilent(unproven), { type: 'refuse', reason: 'too-many-transfers' });
}

function replace(transfer: ActiveTransfer | undefined, otherwise: Admission): Admission {
  return transfer === undefined ? otherwise : { type: 'replace', key: transfer.key };
}

function mostSilent(candidates: readonly ActiveTransfer[]): ActiveTransfer | undefined {
  let found: ActiveTransfer | undefined;
  for (const transfer of candidates)
    if (transfer.retries > 0 && (found === undefined || transfer.progressAt < found.progressAt))
      found = transfer;
  return found;
}

function firstSilent(candidates: Iterable<ActiveTransfer>): ActiveTransfer | undefined {
  for (const transfer of candidates) if (transfer.retries > 0) return transfer;
  return undefined;
}
