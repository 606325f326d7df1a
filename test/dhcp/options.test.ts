/** Options of replies: what boot firmware needs first, the operator's own, and option 43 of PXE. */
import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMIT, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { CustomOption, DhcpConfig } from '../../imager/dhcp/config.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { addressToBytes } from '../../imager/dhcp/ipv4.ts';
import { machineIdentifier, N1, outcome, request, SERVER, text, UID, world } from './fakes.ts';

/** The reply to a DISCOVER. */
function offer(config: Partial<DhcpConfig>, options: Record<number, Uint8Array> = {}) {
  const decision = decide(request('discover', {}, options), world({ reservations: [N1], config }));
  if (decision.kind !== 'reply') throw new Error(outcome(decision));
  return decision;
}

const FILE = { bootFile: () => ({ file: 'boot.img' }) };
const pxe = {
  60: text('PXEClient:Arch:00007:UNDI:003016'),
  93: Uint8Array.of(0, 7),
  97: machineIdentifier(UID),
};

describe('order', () => {
  test('what a node boots from comes before what it can do without', () => {
    const { message } = offer(
      { ...FILE, dns: ['10.77.0.2'], domain: 'lab.example' },
      {
        ...pxe,
        55: Uint8Array.of(1, 3, 6, 12, 15, 28, 43, 58, 59, 60, 66, 67, 97, 150),
        61: Uint8Array.of(0, 1, 2),
        82: Uint8Array.of(1, 1, 7),
        175: Uint8Array.of(177, 1, 1),
      },
    );
    expect([...message.options.keys()]).toEqual([
      ...[53, 54, 51, 1, 3],
      ...[60, 43, 97, 67, 66, 150, 175],
      ...[6, 12, 15, 28, 58, 59],
      ...[61, 82],
    ]);
  });

  test('at the least size every client takes, with all that can be long, firmware still learns what to load', () => {
    const long = `http://10.77.0.1/${'x'.repeat(100)}.efi`;
    const { message } = offer(
      {
        bootFile: () => ({ file: long }),
        dns: ['10.77.0.2', '10.77.0.3', '10.77.0.4', '10.77.0.5'],
        domain: 'd'.repeat(200),
      },
      {
        ...pxe,
        55: Uint8Array.of(1, 3, 6, 12, 15, 28, 58, 59, 66, 67, 150),
        61: new Uint8Array(200).fill(7),
        82: Uint8Array.of(1, 60, ...new Uint8Array(60)),
      },
    );
    const { bytes, omitted } = encodeMessage(message, DEFAULT_LIMIT);
    const reply = decodeMessage(bytes);
    expect(omitted.length).toBeGreaterThan(0);
    for (const code of [53, 54, 51, 1, 3, 60, 43, 97, 67, 66, 150, 82])
      expect(reply.options.has(code)).toBe(true);
    expect(Buffer.from(reply.options.get(67)!).toString()).toBe(long);
  });
});

describe('option 82 on the wire', () => {
  test('is the last of the options field, never in sname or file (RFC 3046 section 2.2)', () => {
    const agent = Uint8Array.of(1, 100, ...new Uint8Array(100));
    const message = {
      ...request('offer', {}, { 43: new Uint8Array(180), 200: new Uint8Array(60), 82: agent }),
      file: '',
    };
    const { bytes, omitted } = encodeMessage(message, DEFAULT_LIMIT);
    expect(omitted).toEqual([]);
    // 240 + 53: 3, 43: 182, overload: 3; option 200 (62) is in sname, and 82 ends the field.
    const at = 240 + 3 + 3 + 182;
    expect([...bytes.subarray(at, at + 4)]).toEqual([82, 102, 1, 100]);
    expect(bytes[at + 104]).toBe(255);
    expect([...bytes.subarray(44, 46)]).toEqual([200, 60]);
  });

  test('is left out where it alone has no room', () => {
    const agent = new Uint8Array(306);
    expect(encodeMessage(request('offer', {}, { 82: agent }), DEFAULT_LIMIT).omitted).toEqual([82]);
  });
});

describe('options of the operator', () => {
  const option = (code: number, value: string, who?: CustomOption['for']): CustomOption => ({
    code,
    value: text(value),
    ...(who === undefined ? {} : { for: who }),
  });
  const sent = (options: CustomOption[], asked: Record<number, Uint8Array> = {}) => {
    const reply = offer({ ...FILE, dns: ['10.77.0.2'], options }, asked).message.options;
    return options.map(({ code }) => Buffer.from(reply.get(code) ?? []).toString());
  };

  test('go to everybody, asked for or not', () => {
    expect(sent([option(209, 'pxelinux.cfg/lab'), option(210, '/tftp/')])).toEqual([
      'pxelinux.cfg/lab',
      '/tftp/',
    ]);
  });

  test('take the place of what the server would have sent', () => {
    const options = [option(66, 'tftp.example'), { code: 6, value: addressToBytes('10.77.0.9') }];
    const reply = offer({ ...FILE, dns: ['10.77.0.2'], options }, { 55: Uint8Array.of(66) }).message.options;
    expect(reply.get(66)).toEqual(text('tftp.example'));
    expect(reply.get(6)).toEqual(Uint8Array.of(10, 77, 0, 9));
  });

  test.each<[string, CustomOption['for'], boolean]>([
    ['its node', { node: 'n1' }, true],
    ['another node', { node: 'n2' }, false],
    ['its vendor class', { class: 'PXEClient' }, true],
    ['its user class', { class: 'iPXE' }, true],
    ['half a user class', { class: 'iPX' }, false],
    ['another class', { class: 'HTTPClient' }, false],
    ['its architecture', { architecture: 7 }, true],
    ['another architecture', { architecture: 0 }, false],
    ['its node with another architecture', { node: 'n1', architecture: 0 }, false],
  ])('for %s', (_what, who, expected) => {
    expect(sent([option(224, 'x', who)], { ...pxe, 77: text('iPXE') })).toEqual([expected ? 'x' : '']);
  });
});

test('option 150 goes to who asks for it, siaddr and 66 name the next server', () => {
  const { message } = offer({ ...FILE, nextServer: '10.77.0.8' }, { 55: Uint8Array.of(66, 150) });
  expect(message.siaddr).toBe('10.77.0.8');
  expect(message.options.get(66)).toEqual(text('10.77.0.8'));
  expect(message.options.get(150)).toEqual(Uint8Array.of(10, 77, 0, 8));
  expect(offer(FILE).message.options.has(150)).toBe(false);
  expect(offer({ bootFile: () => undefined }, { 55: Uint8Array.of(150) }).message.options.has(150)).toBe(
    false,
  );
});

test('why firmware gets no boot file is told to the journal, and where it finds what it gets', () => {
  expect(offer({ bootFile: () => ({ why: 'nothing for it' }) }).detail).toEqual({
    why: 'nothing for it',
    router: SERVER,
  });
  expect(offer(FILE).detail).toEqual({ file: 'boot.img', server: SERVER, router: SERVER });
});

test('option 43 tells a PXE ROM to load the file named here, and goes to no other class', () => {
  const vendorOptions = (vendorClass: string) =>
    offer(FILE, { 60: text(vendorClass) }).message.options.get(43);
  expect(vendorOptions('PXEClient:Arch:00000:UNDI:002001')).toEqual(Uint8Array.of(6, 1, 8, 255));
  expect(vendorOptions('HTTPClient:Arch:00016:UNDI:003001')).toBeUndefined();
  expect(vendorOptions('udhcp 1.36.1')).toBeUndefined();
});
