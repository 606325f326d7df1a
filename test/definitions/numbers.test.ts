/** Which number a node is defined with, and until when it has it. */
import { beforeEach, expect, test } from 'vitest';
import type { Admissions } from '../../imager/agents/admissions.ts';
import type { Definitions } from '../../imager/definitions/store.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { admissionsOf, define } from '../agents/admissions.ts';

let admissions: Admissions;
let definitions: Definitions;
beforeEach(async () => {
  admissions = await admissionsOf(new MemoryRegistry(), ['node1', 'node2']);
  definitions = admissions.definitions;
});

async function defined(name: string): Promise<number> {
  const { local } = await define(admissions, { name, uid: `serial:${name}`, address: '10.0.0.1' });
  return local.number;
}

test('the one asked for stays when the node is defined anew, and is given up when it is undefined', async () => {
  await definitions.want('node2', 9);
  expect(await defined('node2')).toBe(9);
  expect(await defined('node2')).toBe(9);
  await definitions.want('node2');
  expect(await defined('node2')).toBe(9);
  await definitions.close('node2');
  await definitions.want('node1', 9);
  await definitions.want('node2');
  expect([await defined('node1'), await defined('node2')]).toEqual([9, 2]);
});

test('its place in the configuration, or where another has that the first that is free', async () => {
  expect(await defined('node2')).toBe(2);
  await definitions.close('node2');
  await definitions.want('node2', 1);
  expect([await defined('node2'), await defined('node1')]).toEqual([1, 2]);
});
