/** DECLINE, RELEASE, INFORM. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import { DECLINE_MS, MOST_DECLINED } from '../../imager/dhcp/held.ts';
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

  test('an address that was only offered is not put aside: clients that were made up could empty the pool', () => {
    const here = world();
    for (let client = 0; client < 9; client++) {
      const mac = `52:54:00:00:01:0${client}`;
      const offer = perform(decide(request('discover', { mac }), here), here);
      if (offer.kind !== 'reply') throw new Error(outcome(offer));
      const declined = decide(request('decline', { mac }, asking(offer.message.yiaddr, SERVER)), here);
      expect(outcome(perform(declined, here))).toBe('silence: not-holder');
    }
    expect(here.leases.view(here.now)).toEqual([]);
  });

  test('a client that declines whatever it is given has few addresses put aside', () => {
    const here = world({ config: { pools: [{ from: '10.77.0.100', to: '10.77.0.199' }] } });
    const declines = (mac = MAC) => {
      const address = bind(mac, here);
      return outcome(perform(decide(request('decline', { mac }, asking(address, SERVER)), here), here));
    };
    for (let count = 0; count < MOST_DECLINED; count++) expect(declines()).toBe('quiet: put');
    expect(declines()).toBe('silence: declines-all');
    expect(declines()).toBe('silence: declines-all');
    expect(here.leases.view(here.now).filter(({ state }) => state === 'declined')).toHaveLength(
      MOST_DECLINED,
    );
    // Others may, and so may it when its time is over.
    expect(declines(OTHER_MAC)).toBe('quiet: put');
    here.now += DECLINE_MS + 1;
    expect(declines()).toBe('quiet: put');
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
    expect(outcome(decide(request('inform', { ciaddr: '192.0.2.1' }), world()))).toBe(
      'silence: other-network',
    );
    expect(outcome(decide(request('inform'), world()))).toBe('silence: no-address');
  });
});
