/** Whether a read request gets a transfer: a pure decision over what is under way. */

export interface ActiveTransfer {
  key: string;
  address: string;
  /** Time-outs in a row; 0 while its file is being opened. */
  retries: number;
  /** Whether the client ever answered. */
  proven: boolean;
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

/**
 * A client at its limit loses its most silent transfer, since a node that reboots leaves those behind. A full server
 * gives up one whose client never answered, since forged requests look like that. Otherwise the request has to wait.
 */
export function admit(
  address: string,
  active: readonly ActiveTransfer[],
  limits: AdmissionLimits,
): Admission {
  const own = active.filter((transfer) => transfer.address === address);
  if (own.length >= limits.maxPerClient)
    return replaceMostSilent(own, { type: 'refuse', reason: 'too-many-per-client' });
  if (active.length < limits.maxTransfers) return { type: 'admit' };
  const unproven = active.filter((transfer) => !transfer.proven);
  return replaceMostSilent(unproven, { type: 'refuse', reason: 'too-many-transfers' });
}

function replaceMostSilent(candidates: readonly ActiveTransfer[], otherwise: Admission): Admission {
  let found: ActiveTransfer | undefined;
  for (const transfer of candidates)
    if (transfer.retries > 0 && (found === undefined || transfer.progressAt < found.progressAt))
      found = transfer;
  return found === undefined ? otherwise : { type: 'replace', key: found.key };
}
