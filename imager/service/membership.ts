/** A node's definition as the API shows it: never with its key. */
import type { Admissions } from '../agents/admissions.ts';
import type { GlobalDefinition } from '../definitions/definition.ts';
import type { DefinitionView, Membership } from '../model/views.ts';

/** The definition of a node; of one that is deleted the last that it may still keep. */
export function membershipOf(admissions: Admissions, node: string): Membership {
  const { definitions } = admissions;
  const definition = definitions.ofNode(node) ?? definitions.leftOf(node).at(-1);
  const { wanted, closed } = definitions.standing(node);
  return {
    definition: definition === undefined ? null : viewOf(definition),
    standing: wanted !== undefined ? 'wanted' : closed ? 'closed' : null,
  };
}

function viewOf({ key, correcting, ...entry }: GlobalDefinition): DefinitionView {
  const { id, number, uid, address, disk = null, state, at } = entry;
  return { id, number, uid, address, keyed: key !== null, disk, state, correcting: correcting ?? null, at };
}
