import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DhcpMessage, decodeMessage, encodeMessage, MAX_MESSAGE } from '../../imager/dhcp/codec.ts';
import { DhcpError, type DhcpFault } from '../../imager/dhcp/error.ts';
import { request, text } from './fakes.ts';

/** A DISCOVER written out, RFC 2131 figure 1 line by line, options as given. */
function packet(options: number[], fields: { sname?: number[]; file?: number[] } = {}): Uint8Array {
  const pad = (bytes: number[], length: number) => [...bytes, ...Array(length - bytes.length).fill(0)];
  return Uint8Array.from([
    ...[1, 1, 6, 0], // op BOOTREQUEST, htype Ethernet, hlen 6, hops 0
    ...[0xde, 0xad, 0xbe, 0xef], // xid
    ...[0, 7], // secs
    ...[0x80, 0x00], // flags: broadcast
    ...[10, 77, 0, 5], // ciaddr
    ...[0, 0, 0, 0], // yiaddr
    ...[10, 77, 0, 1], // siaddr
    ...[10, 77, 0, 9], // giaddr
    ...pad([0x52, 0x54, 0, 0, 0, 1], 16), // chaddr
    ...pad(fields.sname ?? [...text('imager')], 64), // sname
    ...pad(fields.file ?? [...text('boot.img')], 128), // file
    ...[99, 130, 83, 99], // magic cookie
    ...options,
  ]);
}

function faultOf(work: () => unknown): DhcpFault | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(DhcpError);
    return (error as DhcpError).fault;
  }
}

describe('decoding', () => {
  test('every field of a message', () => {
    // 53 = 1 DISCOVER; pad; 55 = 1, 3; 255 end; what follows the end is not looked at
    const message = decodeMessage(packet([53, 1, 1, 0, 55, 2, 1, 3, 255, 50, 4]));
    expect(message).toEqual({
      op: 'request',
      hops: 0,
      xid: 0xdeadbeef,
      secs: 7,
      broadcast: true,
      ciaddr: '10.77.0.5',
      yiaddr: '0.0.0.0',
      siaddr: '10.77.0.1',
      giaddr: '10.77.0.9',
      mac: '52:54:00:00:00:01',
      serverName: 'imager',
      file: 'boot.img',
      options: new Map([
        [53, Uint8Array.of(1)],
        [55, Uint8Array.of(1, 3)],
      ]),
    } satisfies DhcpMessage);
  });

  test('a missing end option is accepted', () => {
    expect(decodeMessage(packet([53, 1, 1])).options.get(53)).toEqual(Uint8Array.of(1));
  });

  test('options overload both fields, and their parts join in the order options, file, sname', () => {
    const message = decodeMessage(
      packet([52, 1, 3, 67, 1, 0x61, 255], { sname: [67, 1, 0x63, 255], file: [67, 1, 0x62, 255] }),
    );
    expect(message.options.get(67)).toEqual(text('abc'));
    expect(message.options.has(52)).toBe(false);
    expect([message.file, message.serverName]).toEqual(['', '']);
  });

  test('a field that is not overloaded is text, whatever it holds', () => {
    const message = decodeMessage(
      packet([52, 1, 1, 255], { sname: [67, 1, 0x63], file: [12, 1, 0x61, 255] }),
    );
    expect(message.options.get(12)).toEqual(text('a'));
    expect(message.options.has(67)).toBe(false);
    expect(message.serverName).toBe('C?c');
  });

  const good = packet([53, 1, 1, 255]);
  const changed = (offset: number, value: number) => {
    const bytes = good.slice();
    bytes[offset] = value;
    return bytes;
  };
  test.each<[DhcpFault, string, Uint8Array]>([
    ['short', 'ends inside the fixed fields', good.subarray(0, 239)],
    ['short', 'is empty', new Uint8Array(0)],
    ['long', 'is longer than any message', new Uint8Array(MAX_MESSAGE + 1)],
    ['op', 'op 0', changed(0, 0)],
    ['hardware', 'htype 6', changed(1, 6)],
    ['hardware', 'hlen 16', changed(2, 16)],
    ['cookie', 'wrong cookie', changed(236, 98)],
    ['option-truncated', 'code without a length', packet([53, 1, 1, 50])],
    ['option-truncated', 'value past the end', packet([50, 4, 10, 77, 0])],
    ['option-truncated', 'value past the end of sname', packet([52, 1, 2, 255], { sname: [12, 63, 1] })],
    ['overload', 'overload 4', packet([52, 1, 4, 255])],
    ['overload', 'overload of two bytes', packet([52, 2, 1, 1, 255])],
    ['overload', 'overload twice', packet([52, 1, 1, 52, 1, 1, 255])],
  ])('%s: %s', (fault, _what, bytes) => {
    expect(faultOf(() => decodeMessage(bytes))).toBe(fault);
  });

  test('where an option runs out is told', () => {
    expect(() => decodeMessage(packet([53, 1, 1, 50, 4, 10]))).toThrow(/option 50 .*offset 243/);
  });
});

describe('encoding', () => {
  test('a reply, byte for byte', () => {
    const { bytes, omitted } = encodeMessage({
      ...request('discover'),
      op: 'reply',
      broadcast: true,
      yiaddr: '10.77.0.11',
      siaddr: '10.77.0.1',
      file: 'boot.img',
      options: new Map([
        [53, Uint8Array.of(2)],
        [54, Uint8Array.of(10, 77, 0, 1)],
      ]),
    });
    const expected = new Uint8Array(300); // BOOTP's size, zeroes to its end
    expected.set([2, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 0, 0x80, 0]); // to flags
    expected.set([10, 77, 0, 11], 16); // yiaddr
    expected.set([10, 77, 0, 1], 20); // siaddr
    expected.set([0x52, 0x54, 0, 0, 0, 1], 28); // chaddr
    expected.set(text('boot.img'), 108); // file
    expected.set([99, 130, 83, 99, 53, 1, 2, 54, 4, 10, 77, 0, 1, 255], 236);
    expect([...bytes]).toEqual([...expected]);
    expect(omitted).toEqual([]);
  });

  test('a file name longer than its field travels as option 67', () => {
    const file = `http://10.77.0.1/${'x'.repeat(111)}`; // 128 characters: no room for the NUL
    const message = decodeMessage(encodeMessage({ ...request('discover'), file }).bytes);
    expect(message.file).toBe('');
    expect(message.options.get(67)).toEqual(text(file));
  });

  test('a value longer than 255 bytes is split and joined again', () => {
    const value = Uint8Array.from({ length: 270 }, (_, i) => i);
    const { bytes } = encodeMessage(request('discover', {}, { 43: value }));
    expect([...bytes.subarray(243, 245)]).toEqual([43, 255]);
    expect([...bytes.subarray(500, 502)]).toEqual([43, 15]);
    expect(decodeMessage(bytes).options.get(43)).toEqual(value);
  });

  test('a field always ends with the end option, also where the options fill it exactly', () => {
    // 308 bytes: 53 takes 3, 43 takes 257, and 47 + 1 for the end are left.
    const filled = (length: number) =>
      encodeMessage(request('discover', {}, { 43: new Uint8Array(255), 200: new Uint8Array(length) })).bytes;
    expect(filled(45).length).toBe(548);
    expect(filled(45).at(-1)).toBe(255);
    expect(decodeMessage(filled(45)).options.get(200)?.length).toBe(45);
    // One more byte, and it is in sname.
    expect([...filled(46).subarray(44, 46)]).toEqual([200, 46]);
  });

  test('what does not fit goes into sname first, then into file; then later options are left out', () => {
    const filler = new Uint8Array(250);
    const sname = encodeMessage({
      ...request('discover', { file: 'boot.img' }, { 43: filler, 200: filler.subarray(0, 60) }),
    });
    expect(sname.bytes.length).toBeLessThanOrEqual(548);
    expect(decodeMessage(sname.bytes).file).toBe('boot.img');
    expect(decodeMessage(sname.bytes).options.get(200)?.length).toBe(60);

    const both = encodeMessage(
      request('discover', { file: 'boot.img' }, { 43: filler, 200: filler.subarray(0, 100) }),
    );
    expect(both.omitted).toEqual([]);
    expect(decodeMessage(both.bytes).file).toBe('');
    expect(decodeMessage(both.bytes).options.get(67)).toEqual(text('boot.img'));
    expect(decodeMessage(both.bytes).options.get(200)?.length).toBe(100);

    const full = encodeMessage(request('discover', { file: 'boot.img' }, { 43: filler, 82: filler }));
    // Option 82 is never the one: its relay agent would drop the reply.
    expect(full.omitted).toEqual([43]);
    expect(decodeMessage(full.bytes).options.get(82)).toEqual(filler);
    expect(encodeMessage(request('discover', {}, { 43: filler, 82: filler }), 1472).omitted).toEqual([]);
  });
});

describe('properties', () => {
  const address = fc
    .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
    .map((parts) => parts.join('.'));
  const printable = (max: number) =>
    fc
      .string({ unit: 'grapheme-ascii', maxLength: max })
      .map((value) => value.replaceAll(/[^\x20-\x7e]/g, '?'));
  const options = fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter((code) => ![52, 66, 67].includes(code)),
        fc.uint8Array({ maxLength: 300, size: 'max' }),
      ),
      { maxLength: 12, selector: ([code]) => code },
    )
    .map((entries) => new Map(entries));
  const message: fc.Arbitrary<DhcpMessage> = fc.record({
    op: fc.constantFrom('request', 'reply'),
    hops: fc.nat(255),
    xid: fc.nat(0xffffffff),
    secs: fc.nat(0xffff),
    broadcast: fc.boolean(),
    ciaddr: address,
    yiaddr: address,
    siaddr: address,
    giaddr: address,
    mac: fc.constant('02:00:5e:10:00:ff'),
    serverName: printable(63),
    file: printable(200),
    options,
  });

  test('decoding an encoded message gives it back, less what is said to be omitted, within the limit', () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 548, max: 1472 }), (value, limit) => {
        const { bytes, omitted } = encodeMessage(value, limit);
        expect(bytes.length).toBeLessThanOrEqual(limit);
        const back = decodeMessage(bytes);
        const textOf = (field: string, code: number) =>
          field === '' ? Buffer.from(back.options.get(code) ?? '').toString('latin1') : field;
        if (!omitted.includes(67)) expect(textOf(back.file, 67)).toBe(value.file);
        if (!omitted.includes(66)) expect(textOf(back.serverName, 66)).toBe(value.serverName);
        const expected = [...value.options].filter(([code]) => !omitted.includes(code));
        expect(new Map([...back.options].filter(([code]) => code !== 66 && code !== 67))).toEqual(
          new Map(expected),
        );
        expect({ ...back, file: '', serverName: '', options: 0 }).toEqual({
          ...value,
          file: '',
          serverName: '',
          options: 0,
        });
      }),
      { numRuns: 400 },
    );
  });

  test('no bytes make the decoder throw anything but its own error', () => {
    const tail = fc.uint8Array({ maxLength: 400, size: 'max' });
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 600, size: 'max' }),
      tail.map((options) => packet([...options])),
      fc
        .tuple(
          tail,
          fc.uint8Array({ maxLength: 64, size: 'max' }),
          fc.uint8Array({ maxLength: 128, size: 'max' }),
        )
        .map(([options, sname, file]) =>
          packet([52, 1, 3, ...options], { sname: [...sname], file: [...file] }),
        ),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        faultOf(() => decodeMessage(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});
