/** What a local store holds (definition.ts): which content is sound, and how it changes. Pure, for every kind of store. */
import type { Definition, LocalContent } from './definition.ts';
import { isIpv4 } from './ipv4.ts';
import { isName } from './names.ts';
import { parseUid } from './uid.ts';

/** The store is damaged. */
export class LocalStoreError extends Error {}

/** A write whose result is not what it should be: what the store holds now must be read. */
export class LocalUnverifiedError extends LocalStoreError {}

/** Nothing was written: the content has faults, or there is no room for it. */
export class LocalRefusedError extends LocalStoreError {}

export const KEY_BYTES = 32;
export const SIGNER_BYTES = 65;
/** Highest number of a node. */
export const MAX_NUMBER = 0xffff_ffff;
const MOST_IMAGERS = 4;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What a node keeps before it is defined anywhere. */
export const NO_CONTENT: LocalContent = { definitions: [], current: null, target: null };

/** True for the text form of a UUID in lower case: safe as a path component. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** What is wrong with `definition`, each fault in words without its key; empty where it may be kept. */
export function definitionFaults({ id, cluster, number, name, uid, ...rest }: Definition): string[] {
  const faults: string[] = [];
  if (!isUuid(id)) faults.push(`id "${id}" is not a UUID`);
  if (!isUuid(cluster.id)) faults.push(`cluster id "${cluster.id}" is not a UUID`);
  if (!isName(cluster.name)) faults.push(`cluster "${cluster.name}" is not a name`);
  if (!Number.isInteger(number) || number < 1 || number > MAX_NUMBER)
    faults.push(`node number ${number} is not between 1 and ${MAX_NUMBER}`);
  if (!isName(name)) faults.push(`node "${name}" is not a name`);
  if (parseUid(uid) !== uid) faults.push(`"${uid}" is not a hardware UID`);
  for (const imager of rest.imagers)
    if (!isIpv4(imager)) faults.push(`imager "${imager}" is not an IPv4 address`);
  if (rest.imagers.length === 0 || rest.imagers.length > MOST_IMAGERS)
    faults.push(`between 1 and ${MOST_IMAGERS} imagers are needed`);
  if (rest.key.length !== KEY_BYTES) faults.push(`the key has ${rest.key.length} bytes, not ${KEY_BYTES}`);
  if (rest.signer.length !== SIGNER_BYTES)
    faults.push(`the signer's key has ${rest.signer.length} bytes, not ${SIGNER_BYTES}`);
  return faults;
}

/** The same of all of it. */
export function contentFaults({ definitions, current, target }: LocalContent): string[] {
  const faults = definitions.flatMap(definitionFaults);
  const ids = definitions.map(({ cluster }) => cluster.id);
  for (const [i, id] of ids.entries())
    if (ids.indexOf(id) !== i) faults.push(`two definitions are of cluster ${id}`);
  for (const [what, id] of Object.entries({ current, target }))
    if (id !== null && !ids.includes(id)) faults.push(`${what} cluster ${id} is not defined`);
  return faults;
}

/** With `definition` in the place of what is there of its cluster; the first becomes current. */
export function withDefinition(content: LocalContent, definition: Definition): LocalContent {
  const { definitions } = content;
  const same = (one: Definition) => one.cluster.id === definition.cluster.id;
  return {
    ...content,
    definitions: definitions.some(same)
      ? definitions.map((one) => (same(one) ? definition : one))
      : [...definitions, definition],
    current: definitions.length === 0 ? definition.cluster.id : content.current,
  };
}

/** Without a cluster, which is neither current nor target then. */
export function withoutCluster({ definitions, current, target }: LocalContent, id: string): LocalContent {
  return {
    definitions: definitions.filter(({ cluster }) => cluster.id !== id),
    current: current === id ? null : current,
    target: target === id ? null : target,
  };
}
