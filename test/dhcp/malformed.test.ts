/** What is not answered, and what is in spite of its faults. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../imager/dhcp/decide.ts';
import { DhcpError } from '../../imager/dhcp/error.ts';
import type { World } from '../../imager/dhcp/world.ts';
import { machineIdentifier, outcome, request, UID, world } from './fakes.ts';

describe('never answered', () => {
  test.each<[string, ReturnType<typeof request>, string]>([
    ['a reply', { ...request('discover'), op: 'reply' }, 'not-request'],
    ['BOOTP', { ...request('discover'), options: new Map() }, 'bootp-unreserved'],
    ['a server message', request('offer'), 'message-type'],
    ['a relay of another network', request('discover', { giaddr: '192.168.1.1' }), 'other-network'],
  ])('%s', (_what, message, reason) => {
    expect(outcome(decide(message, world()))).toBe(`silence: ${reason}`);
  });

  test.each<[string, number, number]>([
    ['a message type of two bytes', 53, 2],
    ['a requested address of three', 50, 3],
    ['a lease time of two', 51, 2],
    ['a server identifier of five', 54, 5],
    ['a vendor class of 256', 60, 256],
  ])('malformed: %s', (_what, code, length) => {
    const decided = () =>
      decide(request('discover', {}, { [code]: new Uint8Array(length) }), world() as World);
    expect(decided).toThrow(DhcpError);
    expect(decided).toThrow(expect.objectContaining({ fault: 'option-length' }));
  });
});

describe('answered without an option that is malformed and not needed', () => {
  const wrongType = machineIdentifier(UID);
  wrongType[0] = 255;
  test.each<[string, number, Uint8Array]>([
    ['a maximum size of one', 57, new Uint8Array(1)],
    ['a client identifier of one', 61, new Uint8Array(1)],
    ['a client identifier of 256', 61, new Uint8Array(256)],
    ['an architecture of three', 93, new Uint8Array(3)],
    ['an architecture of none', 93, new Uint8Array(0)],
    ['a machine identifier of sixteen', 97, new Uint8Array(16)],
    ['a machine identifier of an unknown type', 97, wrongType],
  ])('%s', (_what, code, value) => {
    const decision = decide(request('discover', {}, { [code]: value }), world());
    expect(outcome(decision)).toBe('offer 10.77.0.102');
    expect(decision.subject.ignored).toEqual([code]);
  });

  test('an interface identifier is not read at all', () => {
    const decision = decide(request('discover', {}, { 94: new Uint8Array(2) }), world());
    expect(outcome(decision)).toBe('offer 10.77.0.102');
    expect(decision.subject.ignored).toEqual([]);
  });
});
