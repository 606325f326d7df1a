/** One row of `imager node list`: what is booted, and what waits for a boot. */
import { expect, test } from 'vitest';
import { Directory } from '../../imager/agents/directory.ts';
import { nodeRow } from '../../imager/cli/node.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { readModelOf, type Sources } from '../../imager/service/read-model.ts';
import { hello } from '../agents/hello.ts';

test('a flash that waits for a boot is told as one, and not mixed with what is booted', async () => {
  const directory = new Directory(new MemoryRegistry(), () => true);
  const nodes = new NodeIndex([{ name: 'n1', hostname: 'n1' }]);
  const model = readModelOf({ nodes, directory, connected: () => [] } as unknown as Sources);
  const row = () => nodeRow(model.nodes()[0]!).slice(3, 6);
  const { pointer } = hello();
  expect(row()).toEqual(['-', '-', '-']);
  await directory.join('n1', hello(), '10.0.0.1', 1);
  const before = row();
  expect(before).toEqual(['base', pointer!.disks.join(), pointer!.phase]);
  const next = {
    ...pointer!,
    image: 'next',
    disks: ['d8', 'd9'],
    deployment: 'd2',
    phase: 'deploy' as const,
  };
  await directory.pointed('n1', next);
  const waits = ['base, then next', 'then d8,d9', 'waits for a boot'];
  expect(row()).toEqual(waits);
  // The same boot, another connection.
  await directory.join('n1', hello({ pointer: next }), '10.0.0.1', 2);
  expect(row()).toEqual(waits);
  await directory.join('n1', hello({ bootId: 'b2', bootedImage: 'next', pointer: next }), '10.0.0.1', 3);
  expect(row()).toEqual(['next', 'd8,d9', 'deploy']);
});
