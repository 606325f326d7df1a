/** The cluster's signing key, held against the point that its nodes were defined with. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Registry } from '../registry/registry.ts';
import { openSigner, SIGNING_KEY, type Signer } from '../signing/signer.ts';

/** Where the registry has the point: definitions without the key they name are of no use. */
const POINT = ['cluster', 'signer'];

/**
 * Opens the key of a state folder for the cluster of `registry`, which keeps its point from the first time on. Rejects where the file
 * is gone or another key since: nodes would refuse everything as tampered.
 */
export async function clusterSigner(state: string, registry: Registry): Promise<Signer> {
  const known = registry.get<Uint8Array>(POINT);
  if (known !== undefined && !existsSync(join(state, SIGNING_KEY))) throw lost(state, 'is gone');
  const signer = openSigner(state);
  if (known === undefined) await registry.transact((tx) => tx.put(POINT, signer.point));
  else if (Buffer.compare(known, signer.point) !== 0) throw lost(state, 'is another key');
  return signer;
}

function lost(state: string, what: string): Error {
  return new Error(
    `${join(state, SIGNING_KEY)} ${what}, and the nodes take nothing that is not signed with this cluster's: bring the file back from a ` +
      `backup. Without one the nodes have to be defined anew: move ${join(state, 'registry')} away, and run ` +
      '"agent local erase --all" on each node',
  );
}
