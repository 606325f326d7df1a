/** What the imager infers from heartbeats that come, and that do not. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import {
  type Adapter,
  answerToProbe,
  encodeProbe,
  isAnswerTo,
  NONCE_SIZE,
} from '../../agent/protocol/heartbeat.ts';
import { Echo } from '../../imager/agents/echo.ts';
import { Liveness } from '../../imager/agents/liveness.ts';

const UP: Adapter = {
  ...{ name: 'eth0', mac: '52:54:00:00:00:01', address: '10.0.0.11', carrier: true, operstate: 'up' },
  ...{ speed: 1000, path: 'up', roundTrip: 0.4 },
  received: { packets: 9, errors: 0 },
  sent: { packets: 7, errors: 0 },
};
const QUIET = {
  address: null,
  path: 'untried',
  roundTrip: null,
  received: { packets: 0, errors: 0 },
} as const;

/** The states `eth0` is said to have changed to by one heartbeat after the other; `-`: no change. */
function told(...heartbeats: Partial<Adapter>[]): string[] {
  const liveness = new Liveness(90_000);
  return heartbeats.map((changes, i) => {
    const said = liveness.heartbeat('n1', [{ ...UP, ...changes }], i * 10_000);
    return (
      said.map((each) => (each.kind === 'adapter' ? `${each.was}>${each.adapter.state}` : '')).join() || '-'
    );
  });
}

it.each([
  ['one that is up from the first is no news', [{}, {}], ['-', '-']],
  ['one that is not is', [{ carrier: false }, {}], ['null>no-carrier', 'no-carrier>up']],
  [
    'a cable pulled and put back',
    [{}, { carrier: false, path: 'untried' }, {}],
    ['-', 'up>no-carrier', 'no-carrier>up'],
  ],
  ['a path that is cut', [{}, { path: 'down', roundTrip: null }, {}], ['-', 'up>path-down', 'path-down>up']],
  ['nothing received twice', [{}, QUIET, QUIET, {}], ['-', '-', 'up>silent', 'silent>up']],
  ['no address, but traffic', [{ ...QUIET, received: { packets: 3, errors: 0 } }], ['-']],
] as [string, Partial<Adapter>[], string[]][])('%s', (_, heartbeats, expected) => {
  expect(told(...heartbeats)).toEqual(expected);
});

it('an adapter of which nothing more is said is gone, once, and known again when it is back', () => {
  const liveness = new Liveness(90_000);
  const second = { ...UP, name: 'eth1' };
  liveness.heartbeat('n1', [UP, second], 0);
  expect(liveness.heartbeat('n1', [UP], 10)).toMatchObject([
    { adapter: { name: 'eth1', state: 'gone' }, was: 'up' },
  ]);
  expect(liveness.heartbeat('n1', [UP], 20)).toEqual([]);
  expect(liveness.heartbeat('n1', [UP, second], 30)).toMatchObject([
    { adapter: { state: 'up' }, was: 'gone' },
  ]);
});

it('a node that is silent is lost once, at its time and not before, and alive with its next word', () => {
  const liveness = new Liveness(90_000);
  expect(liveness.view('n1').state).toBe('unheard');
  liveness.heartbeat('n1', [UP], 1000);
  expect(liveness.check(90_999)).toEqual([]);
  expect(liveness.check(91_000)).toEqual([{ kind: 'lost', node: 'n1', silentMs: 90_000 }]);
  expect(liveness.check(200_000)).toEqual([]);
  expect(liveness.view('n1')).toMatchObject({ state: 'lost', heardAt: 1000 });
  expect(liveness.view('n1').adapters).toMatchObject([
    { name: 'eth0', state: 'unknown', was: 'up', at: 1000 },
  ]);
  liveness.heard('n1', 201_000);
  expect(liveness.view('n1')).toMatchObject({ state: 'alive', adapters: [{ name: 'eth0', state: 'up' }] });
  expect(liveness.view('n1').adapters[0]).not.toHaveProperty('was');
  // What it has no more it has no more, wherever it is.
  liveness.heartbeat('n1', [], 202_000);
  liveness.check(300_000);
  expect(liveness.view('n1').adapters).toMatchObject([{ name: 'eth0', state: 'gone' }]);
});

it('a probe is answered with as many bytes and its own nonce; nothing else is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: NONCE_SIZE, maxLength: NONCE_SIZE }), (nonce) => {
      const answer = answerToProbe(encodeProbe(nonce))!;
      expect(answer).toHaveLength(encodeProbe(nonce).length);
      expect(isAnswerTo(nonce, answer)).toBe(true);
      expect(
        isAnswerTo(
          nonce.map((byte) => byte ^ 1),
          answer,
        ),
      ).toBe(false);
      expect(answerToProbe(answer)).toBeUndefined();
    }),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => answerToProbe(bytes) === undefined));
});

let echo: Echo | undefined;
afterEach(() => echo?.close());

it('answers an address so many times a second and no more', async () => {
  const counts: string[] = [];
  const free = createSocket('udp4');
  free.bind(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address();
  await new Promise<void>((closed) => free.close(closed));
  echo = await Echo.start('127.0.0.1', port, (what) => counts.push(what));
  const client = createSocket('udp4');
  let answers = 0;
  client.on('message', () => answers++);
  const probe = encodeProbe(new Uint8Array(NONCE_SIZE).fill(7));
  client.send(Uint8Array.of(1, 2, 3), port, '127.0.0.1');
  for (let i = 0; i < 300; i++) {
    await new Promise((sent) => client.send(probe, port, '127.0.0.1', sent));
    if (i % 20 === 0) await new Promise(setImmediate);
  }
  while (answers + counts.length < 301) await new Promise(setImmediate);
  client.close();
  expect(counts).toContain('probe.ignored');
  expect(counts.filter((what) => what === 'probe.too-many').length).toBeGreaterThan(0);
  expect(answers).toBeGreaterThanOrEqual(64);
});
