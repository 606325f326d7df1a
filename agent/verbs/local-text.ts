/** Local stores in words, for people, and as values that may be printed: without a key. Pure. */
import type { Definition, LocalContent } from '../protocol/definition.ts';

/** What may be shown of a definition. */
export type ShownDefinition = Omit<Definition, 'key' | 'signer'>;

export function withoutKeys({
  definitions,
  ...pointers
}: LocalContent): Omit<LocalContent, 'definitions'> & { definitions: ShownDefinition[] } {
  return {
    ...pointers,
    // One by one: what is added to a definition some day is not shown by itself.
    definitions: definitions.map(({ id, cluster, number, name, uid, imagers }) => ({
      ...{ id, cluster, number, name, uid, imagers },
    })),
  };
}

export function contentText(where: string, { definitions, current, target }: LocalContent): string {
  if (definitions.length === 0) return `${where}: this node is defined in no cluster`;
  const roles = (id: string) => [id === current ? ', current' : '', id === target ? ', target' : ''].join('');
  return [
    `${where}:`,
    ...definitions.map(({ id, cluster, number, name, uid, imagers }) =>
      [
        `cluster ${cluster.name}${roles(cluster.id)}`,
        `  id          ${cluster.id}`,
        `  node        ${number} ${name}`,
        `  definition  ${id}`,
        `  uid         ${uid}`,
        `  imagers     ${imagers.join(', ')}`,
      ].join('\n'),
    ),
  ].join('\n');
}
