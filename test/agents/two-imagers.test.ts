/** The agent's own link and two imagers: the second while the first is away, the first again when it is back. */
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { AgentLink } from '../../agent/linux/link.ts';
import { Membership } from '../../agent/linux/membership.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { EventLog } from '../support/event-log.ts';
import { ENROL } from '../support/secure.ts';
import { startEndpoint } from './endpoint.ts';
import { hello, POINTER } from './hello.ts';

const ADDRESS = '127.0.0.1';

/** For whom half a minute is over soon; what a busy machine may need for a handshake is left to it. */
class HastyHost extends QuietHost {
  override sleep(milliseconds: number): Promise<void> {
    return super.sleep(milliseconds > 10_000 ? 20 : milliseconds);
  }
}

/** What was heard over both, in the order of time: the steps of events say by whom. */
const log = new EventLog();

const open = new Set<AgentServer>();
afterEach(() => Promise.all([...open].map((server) => server.close())));

/** An imager that can be started again with what it knew. */
function imager(by: 'first' | 'second'): (port: number) => Promise<AgentServer> {
  const registry = new MemoryRegistry();
  return async (port) => {
    const server = await startEndpoint(
      registry,
      (event) => log.sink({ ...event, step: `${by} ${event.step}` }),
      { port, nodes: new NodeIndex([{ name: 'node1', hostname: 'web1', uid: 'serial:n1' }]) },
    );
    open.add(server);
    return server;
  };
}

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
  await log.seen('first step-1');

  await first.close();
  report();
  await log.seen('second step-2');
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
  await log.seen('first hello', 2);
  await log.seen('second disconnect');
  back = true;
  await busy;
  report();
  await log.seen(`first step-${count}`);

  expect(again.connected().map(({ node }) => node)).toEqual(['node1']);
  expect(second.connected()).toEqual([]);
  const moved = log.events.map(({ step }) => step);
  expect(moved.lastIndexOf('first hello')).toBeLessThan(moved.indexOf('second disconnect'));
  // One on its way as the link moves is told to both; none is told twice to the same, and none is missing.
  const steps = moved.filter((text) => / step-/.test(text));
  expect(new Set(steps).size).toBe(steps.length);
  const order = [...new Set(steps.map((text) => text.split(' ')[1]))];
  expect(order).toEqual(Array.from({ length: count }, (_, i) => `step-${i + 1}`));
}, 60_000);
