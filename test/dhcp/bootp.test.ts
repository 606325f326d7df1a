/** BOOTP: requests without option 53 (RFC 951, RFC 1542, RFC 1534). */
import { describe, expect, test } from 'vitest';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { DhcpError } from '../../imager/dhcp/error.ts';
import { lease, MAC, N1, OTHER_MAC, outcome, request, SERVER, text, world } from './fakes.ts';

function bootp(fields: Partial<DhcpMessage> = {}): DhcpMessage {
  return { ...request('discover'), options: new Map(), ...fields };
}

/** A request as a ROM of 1985 sends it, RFC 951 section 3 field by field: 300 bytes, vendor field `vendor`. */
function packet(vendor: number[] = []): Uint8Array {
  const bytes = new Uint8Array(300);
  bytes.set([1, 1, 6, 0, 0xca, 0xfe, 0, 1, 0, 3]); // op, htype, hlen, hops, xid, secs
  bytes.set([0x52, 0x54, 0, 0, 0, 1], 28); // chaddr
  bytes.set(text('unix'), 108); // the generic name it would like to boot
  bytes.set(vendor, 236);
  return bytes;
}

const config = {
  dns: ['10.77.0.2', '10.77.0.3', '10.77.0.4'],
  domain: 'a-long-name-of-the-lab.example',
  bootFile: () => ({ file: 'boot.img' }),
};

describe('a node with an address of its own', () => {
  test.each([
    ['an empty vendor field', []],
    ['the cookie alone (RFC 1497)', [99, 130, 83, 99, 255]],
  ])('is answered whole: %s', (_what, vendor) => {
    const here = world({ reservations: [N1], config });
    const decision = decide(decodeMessage(packet(vendor)), here);
    if (decision.kind !== 'reply') throw new Error(outcome(decision));
    expect(decision).toMatchObject({
      step: 'bootp-reply',
      subject: { step: 'bootp', mac: MAC, node: 'n1', address: '10.77.0.11' },
      to: { address: '255.255.255.255', port: 'client' },
      offer: undefined,
      changes: [],
    });
    const { bytes, omitted } = encodeMessage(decision.message, decision.limit);
    expect(bytes.length).toBe(300);
    // 64 bytes of vendor field: what has no room is the least needed.
    expect(omitted).toEqual([15]);
    expect(decodeMessage(bytes)).toEqual({
      ...bootp(),
      op: 'reply',
      xid: 0xcafe0001,
      yiaddr: '10.77.0.11',
      siaddr: SERVER,
      file: 'boot.img',
      options: new Map([
        [1, Uint8Array.of(255, 255, 255, 0)],
        [3, Uint8Array.of(10, 77, 0, 1)],
        [6, Uint8Array.of(10, 77, 0, 2, 10, 77, 0, 3, 10, 77, 0, 4)],
        [12, text('one')],
      ]),
    });
  });

  test('through a relay agent, in its network', () => {
    const subnets = [{ network: '10.78.0.0', prefix: 24, leaseSeconds: 60 }];
    const at = world({ reservations: [{ ...N1, address: '10.78.0.11' }], config: { subnets } });
    const decision = decide(bootp({ giaddr: '10.78.0.1' }), at);
    expect(outcome(decision)).toBe('bootp-reply 10.78.0.11');
    expect(decision).toMatchObject({
      to: { address: '10.78.0.1', port: 'server' },
      message: { giaddr: '10.78.0.1' },
    });
    expect(outcome(decide(bootp(), at))).toBe('silence: reserved-elsewhere');
  });

  test('that knows its address is answered there', () => {
    const decision = decide(bootp({ ciaddr: '10.77.0.11' }), world({ reservations: [N1] }));
    expect(decision).toMatchObject({ to: { address: '10.77.0.11' }, message: { ciaddr: '10.77.0.11' } });
  });

  test('is not while somebody else has its address', () => {
    const here = world({ reservations: [N1] });
    const other = lease({ address: N1.address, client: `mac:${OTHER_MAC}`, mac: OTHER_MAC });
    void here.leases.apply([{ type: 'put', lease: other }]);
    expect(outcome(decide(bootp(), here))).toBe('silence: leased-to-other');
  });
});

test('nobody else is answered: the address would be gone for good', () => {
  expect(outcome(decide(bootp(), world()))).toBe('silence: bootp-unreserved');
  const pooled = world({ reservations: [{ node: 'n2', mac: MAC }] });
  expect(outcome(decide(bootp(), pooled))).toBe('silence: bootp-unreserved');
});

test('a vendor field of another kind is no request of ours', () => {
  expect(() => decodeMessage(packet([0x43, 0x4d, 0x55, 0]))).toThrow(DhcpError);
});
