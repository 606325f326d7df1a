/** The QEMU rig as a kind of rig: what it can do, and opening one. */
import type { ConfigPath } from '../../../imager/model/fault.ts';
import { isStub } from '../qemu.ts';
import type { RigAction } from './action.ts';
import { patternsOf } from './patterns.ts';
import { QemuRig } from './qemu-rig.ts';
import type { Refusal, RigKind } from './rig.ts';
import type { EventPattern, Scenario } from './scenario.ts';

export const qemuKind: RigKind = {
  name: 'qemu',
  refusals,
  open: (scenario, options) => QemuRig.open(scenario, options),
};

function refusals(scenario: Scenario): Refusal[] {
  const { nodes, script, expect } = scenario;
  const storeless = new Set(
    nodes.filter(({ firmware }) => firmware !== undefined && !isStub(firmware)).map(({ name }) => name),
  );
  const variables = new Set(nodes.filter(({ firmware }) => firmware === 'uefi-stub').map(({ name }) => name));
  const refused: [ConfigPath, string | undefined][] = [
    ...nodes.map(({ rig }, i): [ConfigPath, string | undefined] => [
      ['nodes', i, 'rig'],
      rig === nodes[0]!.rig
        ? undefined
        : 'an image of the QEMU rig is of one architecture, so nodes are of one rig',
    ]),
    ...patternsOf(scenario).map(({ path, what }): [ConfigPath, string | undefined] => [
      path,
      eventRefusal(what),
    ]),
    ...script.flatMap(({ actions }) =>
      actions.map(({ path, action }): [ConfigPath, string | undefined] => [
        path,
        actionRefusal(action, storeless, variables),
      ]),
    ),
    ...expect.flatMap((each): [ConfigPath, string | undefined][] =>
      each.kind === 'pointer' ? [[each.path, storeRefusal(each.node, storeless)]] : [],
    ),
  ];
  return refused.flatMap(([path, why]) => (why === undefined ? [] : [{ path, why }]));
}

function eventRefusal(what: EventPattern['what']): string | undefined {
  if (what.kind === 'packet') return 'the QEMU rig does not look into packets';
  if (what.kind === 'write' && what.stored !== undefined)
    return 'a disk of QEMU takes a write as a whole: it cannot stop between bytes';
  return undefined;
}

function actionRefusal(
  action: RigAction,
  storeless: ReadonlySet<string>,
  variables: ReadonlySet<string>,
): string | undefined {
  if (action.kind === 'network' && action.network === 'delay')
    return 'the QEMU rig drops packets, and cannot delay them';
  if (action.kind === 'write' && variables.has(action.node))
    return `the store of ${action.node} is UEFI variables: it has no offsets to write at`;
  if (action.kind === 'write' || action.kind === 'flash') return storeRefusal(action.node, storeless);
  return undefined;
}

function storeRefusal(node: string, storeless: ReadonlySet<string>): string | undefined {
  return storeless.has(node) ? `the firmware of ${node} asks the network: it has no boot pointer` : undefined;
}
