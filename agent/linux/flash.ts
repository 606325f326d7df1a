/** A flash the imager asks for, written to the node's pointer store. */
import type { Flash } from '../protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../protocol/pointer/record.ts';
import type { PointerStore } from '../protocol/pointer/store.ts';

/** Writes it, with the attempts of a new deployment; gives the record that was read back. Throws where it is not verified. */
export function writeFlash(store: PointerStore, request: Flash): BootPointer {
  const { image, disks, imagers, cluster, deployment } = request;
  const fallback = store.read().pointer?.fallback ?? '';
  return store.write({
    ...{ image, disks, imagers, cluster, deployment, fallback },
    phase: 'deploy',
    attempts: FRESH_ATTEMPTS,
  });
}
