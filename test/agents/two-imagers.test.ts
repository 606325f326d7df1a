/** The agent's own link and two imagers: the second while the first is away, the first again when it is back. */
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { AgentLink } from '../../agent/linux/link.ts';
import { Membership } from '../../agent/linux/membership.ts';
import { NodeHost } from '../../agent/node/host.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { ENROL } from '../support/secure.ts';
import { hello, POINTER } from './client.ts';
import { startEndpoint } from './endpoint.ts';

const ADDRESS = '127.0.0.1';

/** Silent, and for whom half a minute is over soon; what a busy machine may need for a handshake is left to it. */
class HastyHost extends NodeHost {
  override print(): void {}
  override sleep(milliseconds: number): Promise<void> {
    return setTimeout(milliseconds > 10_000 ? 20 : milliseconds, undefined, { ref: false });
  }
}

type Which = 'first' | 'second';
/** What was heard, in the order of time, over both. */
const heard: { by: Which; step: string }[] = [];
let told: () => void = () => {};

const open = new Set<AgentServer>();
afterEach(() => Promise.all([...open].map((server) => server.close())));

/** An imager that can be started again with what it knew. */
function imager(by: Which): (port: number) => Promise<AgentServer> {
  const registry = new MemoryRegistry();
  return async (port) => {
    const server = await startEndpoint(
      registry,
      ({ step }) => {
        heard.push({ by, step });
        told();
      },
      { port, nodes: new NodeIndex([{ name: 'node1', hostname: 'web1', uid: 'serial:n1' }]) },
    );
    open.add(server);
    return server;
  };
}

async function until(fits: () => boolean): Promise<void> {
  while (!fits())
    await new Promise<void>((resolve) => {
      told = resolve;
    });
}

const times = (by: Which, step: string) =>
  heard.filter((each) => each.by === by && each.step === step).length;

test('goes to the second, comes back to the first once that welcomes it, and loses no step', async () => {
  const [startFirst, startSecond] = [imager('first'), imager('second')];
  const [first, second] = [await startFirst(0), await startSecond(0)];
  const { port } = first;
  const member = new Membership('serial:n1', undefined);
  const addresses = [port, second.port].map((each) => ({ address: ADDRESS, port: each }));
  const link = new AgentLink(new HastyHost(), addresses, hello(), () => hello(), {
    secret: () => ENROL,
    cluster: () => 'one',
    flash: async ({ type, request, ...target }) => ({
      pointer: { ...POINTER, ...target, sequence: 2 },
      former: null,
    }),
    power: () => () => {},
    named: () => {},
    member: (request) => member.answer(request),
  });
  let count = 0;
  const report = () => link.report(`step-${++count}`, {});
  report();
  void link.serve();
  await until(() => times('first', 'step-1') === 1);

  await first.close();
  report();
  await until(() => times('second', 'step-2') === 1);
  await link.settle(5000);

  // It has something to say all the time.
  let back = false;
  const busy = (async () => {
    while (!back) {
      report();
      await setTimeout(2);
    }
  })();
  const again = await startFirst(port);
  await until(() => times('first', 'hello') === 2);
  await until(() => times('second', 'disconnect') === 1);
  back = true;
  await busy;
  report();
  const last = `step-${count}`;
  await until(() => times('first', last) === 1);

  expect(again.connected().map(({ node }) => node)).toEqual(['node1']);
  expect(second.connected()).toEqual([]);
  const moved = heard.map(({ by, step }) => `${by} ${step}`);
  expect(moved.lastIndexOf('first hello')).toBeLessThan(moved.indexOf('second disconnect'));
  // One on its way as the link moves is told to both; none is told twice to the same, and none is missing.
  const steps = moved.filter((text) => / step-/.test(text));
  expect(new Set(steps).size).toBe(steps.length);
  const order = [...new Set(steps.map((text) => text.split(' ')[1]))];
  expect(order).toEqual(Array.from({ length: count }, (_, i) => `step-${i + 1}`));
}, 60_000);
