/** DECLINE, RELEASE, INFORM. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import { DECLINE_MS } from '../../imager/dhcp/held.ts';
import { asking, bind, MAC, OTHER_MAC, outcome, perform, request, SERVER, world } from './fakes.ts';

describe('DECLINE, RELEASE, INFORM', () => {
  test('a declined address is put aside, the client gets another, later it is used again', () => {
    const here = world();
    const address = bind(MAC, here);
    expect(outcome(perform(decide(request('decline', {}, asking(address, SERVER)), here), here))).toBe(
      'quiet: put',
    );
    expect(outcome(decide(request('discover', {}, asking(address)), here))).not.toBe(`offer ${address}`);
    expect(here.leases.view(here.now)).toMatchObject([{ address, state: 'declined', active: true }]);
    const next = bind(MAC, here);
    expect(
      here.leases
        .view(here.now)
        .map((entry) => [entry.address, entry.state])
        .sort(),
    ).toEqual(
      [
        [address, 'declined'],
        [next, 'bound'],
      ].sort(),
    );
    perform(decide(request('release', { ciaddr: next }, asking(undefined, SERVER)), here), here);
    here.now += DECLINE_MS + 1;
    expect(outcome(decide(request('discover', { mac: OTHER_MAC }, asking(address)), here))).toBe(
      `offer ${address}`,
    );
  });

  test('nobody declines or releases what another client has', () => {
    const here = world();
    const address = bind(OTHER_MAC, here);
    expect(outcome(decide(request('decline', {}, asking(address, SERVER)), here))).toBe(
      'silence: not-holder',
    );
    expect(outcome(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here))).toBe(
      'silence: not-holder',
    );
    expect(outcome(decide(request('decline', {}, asking(undefined, SERVER)), here))).toBe(
      'silence: no-address',
    );
  });

  test('a released address is free for others and remembered for its client', () => {
    const here = world();
    const address = bind(MAC, here);
    expect(
      outcome(
        perform(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here), here),
      ),
    ).toBe('quiet: put');
    expect(here.leases.view(here.now)).toMatchObject([{ address, state: 'released', active: false }]);
    expect(outcome(decide(request('discover'), here))).toBe(`offer ${address}`);
    expect(outcome(decide(request('discover', { mac: OTHER_MAC }, asking(address)), here))).toBe(
      `offer ${address}`,
    );
    expect(outcome(decide(request('release', { ciaddr: address }, asking(undefined, SERVER)), here))).toBe(
      'silence: not-holder',
    );
  });

  test('INFORM is answered to ciaddr without an address or a lease time, and changes nothing', () => {
    const decision = decide(request('inform', { ciaddr: '10.77.0.60' }), world());
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision).toMatchObject({
      step: 'ack',
      changes: [],
      to: { address: '10.77.0.60', port: 'client' },
    });
    expect(decision.message).toMatchObject({ ciaddr: '10.77.0.60', yiaddr: '0.0.0.0' });
    expect([...decision.message.options.keys()]).toEqual([53, 54, 1, 3]);
    expect(outcome(decide(request('inform'), world()))).toBe('silence: other-network');
  });
});
