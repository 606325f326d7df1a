/** More clients than addresses: what is only offered is offered again, and who requests it first has it. */
import { expect, test } from 'vitest';
import type { DhcpMessage } from '../../imager/dhcp/codec.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { asking, type Leased, request, SERVER, world } from './fakes.ts';

const mac = (n: number) => `52:54:00:00:01:0${n}`;

/** What is decided and done, as the server does it. */
async function say(message: DhcpMessage, here: Leased): Promise<string> {
  const decision: Decision = decide(message, here);
  if ('offer' in decision && decision.offer !== undefined) here.leases.offer(decision.offer);
  if ('changes' in decision) await here.leases.apply(decision.changes);
  if (decision.kind === 'reply') return `${decision.step} ${decision.reason ?? decision.message.yiaddr}`;
  return decision.kind === 'silence' ? decision.reason : decision.kind;
}

const discover = (n: number, here: Leased) => say(request('discover', { mac: mac(n) }), here);
const select = (n: number, address: string, here: Leased) =>
  say(request('request', { mac: mac(n) }, asking(address, SERVER)), here);

/** A pool of three, offered to clients 1, 2 and 3 in this order, a second each. */
async function allOffered(): Promise<{ here: Leased; offered: string[] }> {
  const here = world();
  const offered: string[] = [];
  for (const n of [1, 2, 3]) {
    offered.push((await discover(n, here)).replace('offer ', ''));
    here.now += 1000;
  }
  return { here, offered };
}

test('where all addresses are offered, the oldest offer is made to the next client as well', async () => {
  const { here, offered } = await allOffered();
  expect(new Set(offered).size).toBe(3);
  expect(await discover(4, here)).toBe(`offer ${offered[0]}`);
  here.now += 1000;
  expect(await discover(5, here)).toBe(`offer ${offered[1]}`);
});

test('the first to request it has it, the other is told so and gets another', async () => {
  for (const [first, second] of [
    [1, 4],
    [4, 1],
  ] as const) {
    const { here, offered } = await allOffered();
    await discover(4, here);
    expect(await select(first, offered[0]!, here)).toBe(`ack ${offered[0]}`);
    expect(await select(second, offered[0]!, here)).toBe('nak leased-to-other');
    expect(await discover(second, here)).toBe(`offer ${offered[1]}`);
  }
});

test('an offer nobody else was made is safe from those who ask for it', async () => {
  const { here, offered } = await allOffered();
  expect(await select(4, offered[1]!, here)).toBe('nak offered-to-other');
  expect(await select(2, offered[1]!, here)).toBe(`ack ${offered[1]}`);
});

test('it stays contested where one of them asks again', async () => {
  const { here, offered } = await allOffered();
  await discover(4, here);
  expect(await discover(4, here)).toBe(`offer ${offered[0]}`);
  expect(await select(1, offered[0]!, here)).toBe(`ack ${offered[0]}`);
});

test('leases are nobody else’s: a pool of them is exhausted', async () => {
  const { here, offered } = await allOffered();
  for (const n of [1, 2, 3]) await select(n, offered[n - 1]!, here);
  expect(await discover(4, here)).toBe('pool-exhausted');
});
