/** What a registry value may be, checked and copied on the way in and out: nobody shares memory with the store. Pure. */
import { RegistryError } from './key.ts';
import type { Value } from './registry.ts';

/** Deeper nesting than any record has; a cycle ends here too. */
export const MAX_DEPTH = 64;

/**
 * A deep copy of `value`, made of plain objects, arrays, strings, finite numbers, booleans, null and Uint8Array.
 * Object members that are undefined are left out, as in JSON; -0 becomes 0.
 * Throws RegistryError with the path of the first thing that is none of these.
 */
export function copyValue(value: Value): Value {
  return copy(value, 'value', 0);
}

function copy(value: Value, path: string, depth: number): Value {
  if (depth > MAX_DEPTH) throw new RegistryError(`registry ${path.slice(0, 80)}... is nested too deeply`);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (!Number.isFinite(value))
        throw new RegistryError(`registry ${path} is ${value}, not a finite number`);
      return value === 0 ? 0 : value;
    case 'object':
      return value === null ? null : copyObject(value, path, depth);
    default:
      throw new RegistryError(`registry ${path} is of type ${typeof value}, which cannot be stored`);
  }
}

function copyObject(value: object, path: string, depth: number): Value {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map((item, index) => copy(item, `${path}[${index}]`, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    throw new RegistryError(
      `registry ${path} is a ${value.constructor?.name ?? 'strange object'}, not a plain one`,
    );
  const members = value as Record<string, Value>;
  const result: Record<string, Value> = {};
  for (const name of Object.keys(members)) {
    if (name === '__proto__') throw new RegistryError(`registry ${path} has a member named __proto__`);
    const member = members[name];
    // Nearly all there is: no path is made for it.
    if (typeof member === 'string' || typeof member === 'boolean') result[name] = member;
    else if (member !== undefined) result[name] = copy(member, `${path}.${name}`, depth + 1);
  }
  return result;
}
