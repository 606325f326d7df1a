/** What the agent's link says on the console of its node: who welcomes it, who does not, and why. */
import { expect, it, vi } from 'vitest';
import { HostError } from '../../agent/linux/host.ts';
import { secretOf } from '../../agent/linux/secret.ts';
import type { Definition } from '../../agent/protocol/definition.ts';
import type { ImagerMessage } from '../../agent/protocol/messages.ts';
import { QuietHost } from '../fakes/quiet-host.ts';
import { definitionOf } from '../local/definitions.ts';
import { eventually } from '../support/eventually.ts';
import { HELLO, Imager, linked, linkTo, PlainHost, WELCOME } from './imager-end.ts';

it('says at the node why a restart that it has agreed to did not come', async () => {
  const { imager, host } = await linked({
    power: (action) => () => {
      throw new Error(`${action}: not root`);
    },
  });
  imager.send(WELCOME);
  imager.send({ type: 'power', request: 1, action: 'reboot' });
  expect(await imager.take()).toEqual({ type: 'done', request: 1 });
  await eventually(() => expect(host.console).toContain('bootwright: reboot: not root'));
});

it('says why it was refused once, and keeps trying', async () => {
  const { imager, host, link } = await linked();
  const begun = host.uptime();
  expect(link.refusedSince).toBeUndefined();
  for (let i = 0; i < 2; i++) {
    imager.send({ type: 'refuse', why: 'no node has this UID' });
    expect(await imager.take()).toEqual(HELLO);
  }
  expect(host.console).toEqual([
    `bootwright: imager 127.0.0.1:${imager.port}: refuses this node: no node has this UID`,
    'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
  ]);
  // The second attempt was begun after the first was over.
  expect(link.refusedSince).toBeGreaterThan(begun);
  imager.send(WELCOME);
  await eventually(() => expect(link.connectedSince).toBeDefined());
  expect(link.refusedSince).toBeUndefined();
});

it('says of each imager once why it does not have it, and again what has changed', async () => {
  const [first, second] = [await Imager.start(), await Imager.start()];
  const ports = [first.port, second.port];
  const host = new PlainHost();
  host.random = () => 0;
  void linkTo([first, second], host).serve();
  const said = () =>
    host.console.map((line) =>
      line.replace(/^.*:(\d+): /, (_, port) => `${ports.indexOf(Number(port)) + 1} `),
    );
  const refusals = [
    [first, 'one', 'other'],
    [second, 'two', 'two'],
  ] as const;
  for (const round of [0, 0, 1, 1])
    for (const [imager, ...why] of refusals) {
      expect(await imager.take()).toEqual(HELLO);
      imager.send({ type: 'refuse', why: why[round]! });
    }
  expect(await first.take()).toEqual(HELLO);
  const told = [
    '1 refuses this node: one',
    '2 refuses this node: two',
    'bootwright: no imager welcomes this node: it goes on by itself and keeps what it has to report',
    '1 refuses this node: other',
  ];
  expect(said()).toEqual(told);
  // Nor with each connection to the one that has it.
  for (let time = 0; time < 2; time++) {
    first.send({ type: 'refuse', why: 'other' });
    expect(await second.take()).toEqual(HELLO);
    second.send(WELCOME);
    await second.taken();
    second.socket?.destroy();
    expect(await first.take()).toEqual(HELLO);
  }
  expect(said().slice(told.length)).toEqual([
    '2 welcomes this node as n1 of cluster lab',
    '2 closed the connection',
    '2 closed the connection',
  ]);
});

it('says who welcomes it, and as whom; of another connection to the same nothing more', async () => {
  const { imager, host } = await linked();
  const welcomes = () => host.console.filter((line) => line.includes('welcomes this node as'));
  const said = `bootwright: imager 127.0.0.1:${imager.port}: welcomes this node as n1 of cluster lab`;
  const again = async (message: ImagerMessage) => {
    await imager.cut();
    imager.send(message);
  };
  imager.send(WELCOME);
  await imager.taken();
  expect(welcomes()).toEqual([said]);
  await again(WELCOME);
  await imager.taken();
  expect(welcomes()).toEqual([said]);
  await again({ type: 'refuse', why: 'undefined\u001b[2J' });
  expect(await imager.take()).toEqual(HELLO);
  imager.send(WELCOME);
  await imager.taken();
  expect(welcomes()).toEqual([said, said]);
  expect(host.console).toContain(
    `bootwright: imager 127.0.0.1:${imager.port}: refuses this node: undefined?[2J`,
  );
  await again({ ...WELCOME, node: 'n2' });
  await imager.taken();
  expect(welcomes().slice(2)).toEqual([said.replace('n1', 'n2')]);
});

it('says of an imager that answers no more that it is silent, not that it hung up', async () => {
  const { imager, host } = await linked();
  const now = host.uptime();
  imager.send({ ...WELCOME, heartbeatSeconds: 0.1 });
  await eventually(() => expect(host.console).toHaveLength(1));
  vi.spyOn(host, 'uptime').mockImplementation(() => now + 60);
  expect(await imager.take()).toEqual(HELLO);
  expect(host.console.slice(1)).toEqual([
    `bootwright: imager 127.0.0.1:${imager.port}: says nothing for 2.2 s`,
  ]);
});

it('whose place another has taken stays away for minutes, and says so', async () => {
  const { imager, host } = await linked();
  const slept: number[] = [];
  const minutes = new Promise<void>((resolve) => {
    vi.spyOn(host, 'sleep').mockImplementation((milliseconds) => {
      slept.push(milliseconds);
      if (milliseconds >= 300_000) resolve();
      return new Promise(() => {});
    });
  });
  imager.send(WELCOME);
  imager.send({ type: 'replaced', why: 'another agent has the place of n1, at 10.0.0.2' });
  await minutes;
  expect(slept.filter((each) => each >= 300_000 && each <= 600_000)).toHaveLength(1);
  expect(host.console.slice(1)).toEqual([
    `bootwright: imager 127.0.0.1:${imager.port}: another agent has the place of n1, at 10.0.0.2: ` +
      'this one tries again in 5 to 10 minutes',
  ]);
});

it('whose key is not taken says what that means, and what helps where it is kept', async () => {
  const definition = (cluster: string) => ({ ...definitionOf(1), cluster: { name: 'lab', id: cluster } });
  const [one, two] = [definition('c1'), definition('c2')];
  const said = async (definitions: Definition[], code = 'EKEYREJECTED') => {
    const host = new QuietHost();
    host.secure = () => Promise.reject(new HostError(code, 'tls: alert'));
    const local = { definitions, current: definitions[0]?.cluster.id ?? null, target: null };
    void linkTo([await Imager.start()], host, { secret: () => secretOf(host, local) }).serve();
    await eventually(() => expect(host.console).toHaveLength(2));
    vi.spyOn(host, 'sleep').mockImplementation(() => new Promise(() => {}));
    return host.console[0]!.replace(/^.*?:\d+: /, '');
  };
  const unknown = (erase: string) =>
    `does not know this node's definition in cluster ${erase}, or has another key for it (tls: alert). ` +
    `If it is your imager, and the node was undefined or its registry lost: end this agent first, for it holds the ` +
    `store's lock, then agent local erase ${erase}`;
  expect(await said([one])).toBe(unknown('lab'));
  // Two of one name: only an id tells them apart.
  expect(await said([two, one])).toBe(unknown('c2'));
  expect(await said([])).toContain("does not take this node's key of enrolment (tls: alert)");
  // Where TLS does not say that it is the key nobody does.
  for (const definitions of [[one], []])
    expect(await said(definitions, 'EPROTO')).toBe(
      'what answers there is no imager, or none of this version (tls: alert)',
    );
});
