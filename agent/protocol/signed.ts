/**
 * What the cluster's signature is over: the canonical form of a JSON value (RFC 8785), UTF-8, so that both sides come to the same
 * bytes whatever the order they keep things in. Signatures are ECDSA over P-256 with SHA-256, r and s of 32 bytes each.
 */
import { type Flash, type Plan, parsePlan } from './messages.ts';
import type { ServedFile } from './signed-image.ts';

/** For whom something is signed: what was signed for one node is nothing to another. */
export interface SignedFor {
  /** Id of the cluster. */
  cluster: string;
  /** Name of the node. A node that is defined anew keeps it, and goes on with the plan it has. */
  node: string;
}

/** A plan holds for one node and, by its own words, one deployment. */
export function planBytes({ cluster, node }: SignedFor, plan: Plan): Uint8Array {
  // As it is on the other side of the wire: with what is left out filled in.
  const { signature: _, ...content } = parsePlan(plan);
  return canonical({ signed: 'bootwright plan 1', cluster, node, plan: content });
}

/** The files of an image hold for one node and the deployment it is flashed for. */
export function imageBytes(
  { cluster, node }: SignedFor,
  { image, deployment }: Pick<Flash, 'image' | 'deployment'>,
  files: readonly ServedFile[],
): Uint8Array {
  const content = files.map(({ name, bytes, sha256 }) => ({ name, bytes, sha256 }));
  return canonical({ signed: 'bootwright image 1', cluster, node, deployment, image, files: content });
}

/** RFC 8785, for values of JSON whose numbers are whole. */
export function canonical(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(sorted(value)));
}

/** With the members of every object in the order of their names (RFC 8785 section 3.2.3). */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
