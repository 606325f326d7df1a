/** What nodes consist of, and what has changed of it. Pure. */
import {
  RESOURCE_KINDS,
  type Resource,
  type ResourceFault,
  type ResourceKind,
  type ResourceValue,
} from '../../agent/protocol/resources.ts';

/** What a node was made of for a while. */
export interface Inventory {
  /** When it was first seen so, and last: milliseconds since the epoch. */
  since: number;
  seen: number;
  /** Boot in which it was first seen so. */
  bootId: string;
  resources: Resource[];
  /** What the agent could not read. */
  faults: ResourceFault[];
}

export interface ResourceChange {
  kind: ResourceKind;
  key: string;
  field: string;
  /** Null where it was not known, or is no more. */
  from: ResourceValue | null;
  to: ResourceValue | null;
}

export interface ResourceDiff {
  added: Resource[];
  removed: Resource[];
  changed: ResourceChange[];
}

/** As the API shows it. */
export interface ResourcesView {
  node: string;
  /** Null where the node has told nothing yet. */
  last: Inventory | null;
  /** What it was before the last change. */
  previous: Inventory | null;
  /** From the previous one to the last; null without a previous one. */
  diff: ResourceDiff | null;
}

/** From `before` to `after`, in the order of kinds and of the lists. */
export function diffOf(before: readonly Resource[], after: readonly Resource[]): ResourceDiff {
  const [old, present] = [byName(before), byName(after)];
  return {
    added: after.filter((each) => !old.has(nameOf(each))),
    removed: before.filter((each) => !present.has(nameOf(each))),
    changed: after.flatMap((each) => {
      const former = old.get(nameOf(each));
      return former === undefined ? [] : changesOf(former, each);
    }),
  };
}

export function isEmpty({ added, removed, changed }: ResourceDiff): boolean {
  return added.length + removed.length + changed.length === 0;
}

/** One line for each difference. */
export function diffLines({ added, removed, changed }: ResourceDiff): string[] {
  const value = (each: ResourceValue | null) => (each === null ? '-' : String(each));
  return [
    ...removed.map((each) => `removed ${nameOf(each)}`),
    ...added.map((each) => `added ${nameOf(each)}`),
    ...changed.map((each) => `${nameOf(each)}: ${each.field} ${value(each.from)} -> ${value(each.to)}`),
  ];
}

/** How many of each kind: `2 adapter, 1 disk`. */
export function countsOf(resources: readonly Resource[]): string {
  return RESOURCE_KINDS.map((kind) => [resources.filter((each) => each.kind === kind).length, kind] as const)
    .flatMap(([count, kind]) => (count > 0 ? [`${count} ${kind}`] : []))
    .join(', ');
}

function changesOf(before: Resource, after: Resource): ResourceChange[] {
  const { kind, key } = after;
  return [...new Set([...Object.keys(before.fields), ...Object.keys(after.fields)])].flatMap((field) => {
    const [from, to] = [fieldOf(before, field), fieldOf(after, field)];
    return from === to ? [] : [{ kind, key, field, from, to }];
  });
}

function fieldOf({ fields }: Resource, field: string): ResourceValue | null {
  return Object.hasOwn(fields, field) ? fields[field]! : null;
}

function byName(resources: readonly Resource[]): Map<string, Resource> {
  return new Map(resources.map((each) => [nameOf(each), each]));
}

function nameOf({ kind, key }: { kind: string; key: string }): string {
  return `${kind} ${key}`;
}
