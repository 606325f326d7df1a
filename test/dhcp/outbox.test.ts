/** Replies to relay agents, together where that can be. */
import { expect, test } from 'vitest';
import { Outbox } from '../../imager/dhcp/outbox.ts';
import type { UdpSocket } from '../../imager/udp/socket.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** An outbox, what its socket was given (a list a call), and who was told. */
function opened() {
  const calls: string[][] = [];
  const told: string[] = [];
  const socket = {
    send: (bytes: Uint8Array, _port: number, address: string, sent: (error: null) => void) => {
      calls.push([`${address} ${Buffer.from(bytes)}`]);
      sent(null);
    },
    sendParts: (
      bytes: Uint8Array,
      size: number,
      _port: number,
      address: string,
      sent: (error: null, part: number) => void,
    ) => {
      const count = Math.ceil(bytes.length / size);
      const parts = Array.from({ length: count }, (_, part) => bytes.slice(part * size, (part + 1) * size));
      calls.push(parts.map((part) => `${address} ${Buffer.from(part)}`));
      for (const part of parts.keys()) sent(null, part);
    },
  };
  const outbox = new Outbox(socket as unknown as UdpSocket);
  const add = (text: string, address = 'a') =>
    outbox.add(Buffer.from(text), 67, address, () => told.push(`${address} ${text}`));
  return { outbox, calls, told, add };
}

test('a lone reply leaves at once, also after many', async () => {
  const { calls, add } = opened();
  add('one');
  expect(calls).toEqual([['a one']]);
  await turn();
  for (const text of ['two', 'six', 'ten']) add(text);
  await turn();
  add('1st');
  await turn();
  add('2nd');
  expect(calls.at(-1)).toEqual(['a 2nd']);
});

test('those of one length and one place go together, in order, a shorter one at their end; each is told', async () => {
  const { calls, told, add } = opened();
  const texts = ['one', 'two', 'four', 'five', 'six', 'ten', 'longer'];
  for (const text of texts) add(text);
  add('others', 'b');
  add('theirs', 'b');
  await turn();
  expect(calls).toEqual([
    ['a one'],
    ['a two'],
    ['a four', 'a five', 'a six'],
    ['a ten'],
    ['a longer'],
    ['b others', 'b theirs'],
  ]);
  expect(told).toEqual(calls.flat());
});

test('more than a turn may send wait for the next ones; at the end all leave', async () => {
  const { outbox, calls, add } = opened();
  for (let n = 10; n < 60; n++) add(`${n}`);
  expect(calls.flat()).toHaveLength(1);
  await turn();
  expect(calls.flat()).toHaveLength(17);
  await turn();
  expect(calls.flat()).toHaveLength(33);
  outbox.flush();
  expect(calls.flat()).toEqual(Array.from({ length: 50 }, (_, n) => `a ${n + 10}`));
});
