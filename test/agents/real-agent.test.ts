/** The agent's own link to the imager (agent/linux/link.ts) against the endpoint, over real sockets. */
import { expect, test } from 'vitest';
import { AgentLink } from '../../agent/linux/link.ts';
import { Membership } from '../../agent/linux/membership.ts';
import { NodeIndex } from '../../imager/model/nodes.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { ENROL } from '../support/secure.ts';
import { startEndpoint } from './endpoint.ts';
import { hello, POINTER } from './hello.ts';

const ADDRESS = '127.0.0.1';

test('steps, plan, flash and power; an imager that went away gets the steps it missed, once', async () => {
  const registry = new MemoryRegistry();
  const log = new EventLog();
  const start = (port: number) =>
    startEndpoint(registry, log.sink, {
      port,
      nodes: new NodeIndex([{ name: 'node1', hostname: 'web1', uid: 'serial:n1', userConfig: 'web' }]),
      userConfigs: {
        web: { secondReboot: true, scripts: [], services: { init: ['/i'], ports: [], timeoutSeconds: 1 } },
      },
    });
  let server = await start(0);
  const names: string[] = [];
  const actions: string[] = [];
  const member = new Membership('serial:n1', undefined);
  const link = new AgentLink(
    new QuietHost(),
    [{ address: ADDRESS, port: server.port }],
    hello(),
    () => hello(),
    {
      secret: () => ENROL,
      cluster: () => undefined,
      flash: async ({ type, request, ...target }) => {
        if (target.image === 'broken') throw new Error('EEPROM: EIO');
        return { pointer: { ...POINTER, ...target, sequence: 2 }, former: null };
      },
      power: (action) => () => void actions.push(action),
      named: (hostname) => void names.push(hostname),
      member: (request) => member.answer(request),
    },
  );
  link.report('agent', { early: true });
  void link.serve();
  expect(await link.plan()).toMatchObject({ deployment: 'd1', secondReboot: true });
  await link.settle(5000);
  expect(names).toEqual(['web1']);
  const target = { image: 'b', disks: ['d2'], imagers: [ADDRESS], cluster: 'demo', deployment: 'd2' };
  expect(await server.flash('node1', target)).toMatchObject({
    old: null,
    pointer: { sequence: 2, image: 'b' },
  });
  await expect(server.flash('node1', { ...target, image: 'broken' })).rejects.toThrow('EEPROM: EIO');
  await server.power('node1', 'reboot');
  await eventually(() => expect(actions).toEqual(['reboot']));

  const { port } = server;
  await server.close();
  link.report('missed', {});
  server = await start(port);
  await log.seen('missed');
  await link.settle(5000);
  const steps = log.events.map(({ step }) => step);
  expect(steps.filter((step) => ['agent', 'missed'].includes(step))).toEqual(['agent', 'missed']);
  await server.close();
});
