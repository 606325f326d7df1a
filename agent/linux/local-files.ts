/** A definition as the files of its folder (local-folder.ts). Pure. */
import type { Definition } from '../protocol/definition.ts';
import { hex, hexBytes } from '../protocol/hex.ts';
import { definitionFaults } from '../protocol/local-content.ts';

/** Text by name of file. */
export function encodeDefinition({
  id,
  cluster,
  number,
  name,
  uid,
  ...rest
}: Definition): Record<string, string> {
  return {
    'cluster.json': json(cluster),
    'node.json': json({ id, number, name, uid }),
    'imagers.json': json({ primary: rest.imagers[0], imagers: rest.imagers }),
    key: `${hex(rest.key)}\n`,
    signer: `${hex(rest.signer)}\n`,
  };
}

/** The definition in the files that `text` gives, or what is wrong with which. */
export function decodeDefinition(text: (name: string) => string): Definition | { file: string; why: string } {
  const [cluster, node, list] = ['cluster.json', 'node.json', 'imagers.json'].map((name) =>
    object(text(name)),
  );
  if (typeof cluster?.name !== 'string' || typeof cluster.id !== 'string') return malformed('cluster.json');
  if (typeof node?.id !== 'string' || typeof node.number !== 'number') return malformed('node.json');
  if (typeof node.name !== 'string' || typeof node.uid !== 'string') return malformed('node.json');
  const imagers: unknown[] = Array.isArray(list?.imagers) ? list.imagers : [];
  if (!imagers.every((each) => typeof each === 'string') || list?.primary !== imagers[0])
    return malformed('imagers.json');
  const [key, signer] = [bytesIn(text('key')), bytesIn(text('signer'))];
  if (key === undefined) return malformed('key');
  if (signer === undefined) return malformed('signer');
  const { id, number, name, uid } = node as Pick<Definition, 'id' | 'number' | 'name' | 'uid'>;
  const definition = {
    ...{ id, number, name, uid, imagers, key, signer },
    cluster: { name: cluster.name, id: cluster.id },
  };
  const faults = definitionFaults(definition);
  return faults.length === 0 ? definition : { file: 'node.json', why: faults.join('; ') };
}

function malformed(file: string): { file: string; why: string } {
  return { file, why: 'it has not the form it should' };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Undefined where `text` is no JSON object. */
function object(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where `text` is no line of hexadecimal digits. */
function bytesIn(text: string): Uint8Array | undefined {
  return /^(?:[0-9a-f]{2})+\n$/.test(text) ? hexBytes(text.trimEnd()) : undefined;
}
