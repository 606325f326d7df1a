/** Golden bytes after the protocol's document, sections named in imager/nbd/codec.ts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeClientFlags,
  decodeInfoRequest,
  decodeName,
  decodeOptionHeader,
  decodeRequest,
  encodeExportNameAnswer,
  encodeGreeting,
  encodeInfoBlockSize,
  encodeInfoExport,
  encodeInfoName,
  encodeOptionReply,
  encodeServer,
  encodeSimpleReply,
  ProtocolError,
} from '../../imager/nbd/codec.ts';

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(''), 'hex');

test('greeting', () => {
  expect(encodeGreeting()).toEqual(
    hex(
      '4e42444d41474943', // "NBDMAGIC"
      '49484156454f5054', // "IHAVEOPT"
      '0003', // fixed newstyle, no zeroes
    ),
  );
});

test('client flags', () => {
  expect(decodeClientFlags(hex('00000003'))).toEqual({ fixedNewstyle: true, noZeroes: true });
  expect(decodeClientFlags(hex('00000000'))).toEqual({ fixedNewstyle: false, noZeroes: false });
  expect(() => decodeClientFlags(hex('00000004'))).toThrow(ProtocolError);
});

test('option header', () => {
  const bytes = hex(
    '49484156454f5054', // "IHAVEOPT"
    '00000007', // NBD_OPT_GO
    '0000000a', // 10 bytes of data
  );
  expect(decodeOptionHeader(bytes)).toEqual({ option: 7, length: 10 });
  expect(() => decodeOptionHeader(Buffer.from(bytes.with(0, 0)))).toThrow(/option magic/);
});

test('data of INFO and GO', () => {
  const bytes = hex(
    '00000002', // name of 2 bytes
    '6e31', // "n1"
    '0002', // 2 kinds of information
    '0001', // NBD_INFO_NAME
    '0003', // NBD_INFO_BLOCK_SIZE
  );
  expect(decodeInfoRequest(bytes)).toEqual({ name: 'n1', wanted: [1, 3] });
  for (let length = 0; length < bytes.length; length++)
    expect(decodeInfoRequest(bytes.subarray(0, length))).toBeUndefined();
  expect(decodeInfoRequest(Buffer.concat([bytes, Buffer.alloc(1)]))).toBeUndefined();
  expect(decodeInfoRequest(hex('ffffffff', '6e31', '0000'))).toBeUndefined();
  expect(decodeInfoRequest(hex('00000001', 'ff', '0000'))).toBeUndefined();
});

test('names are UTF-8 of at most 4096 bytes', () => {
  expect(decodeName(Buffer.from('nœud'))).toBe('nœud');
  expect(decodeName(hex('c328'))).toBeUndefined();
  expect(decodeName(Buffer.alloc(4096, 'a'))).toHaveLength(4096);
  expect(decodeName(Buffer.alloc(4097, 'a'))).toBeUndefined();
});

test('option reply with an export name', () => {
  expect(encodeOptionReply(3, 2, encodeServer('n1'))).toEqual(
    hex(
      '0003e889045565a9', // reply magic
      '00000003', // to NBD_OPT_LIST
      '00000002', // NBD_REP_SERVER
      '00000006', // 6 bytes
      '00000002', // name of 2 bytes
      '6e31', // "n1"
    ),
  );
});

test('information', () => {
  expect(encodeInfoExport(0x1_0000_0000, 0x6d)).toEqual(hex('0000', '0000000100000000', '006d'));
  expect(encodeInfoName('n1')).toEqual(hex('0001', '6e31'));
  expect(encodeInfoBlockSize(1, 4096, 33554432)).toEqual(hex('0003', '00000001', '00001000', '02000000'));
});

test('answer to EXPORT_NAME, with the 124 zero bytes and without', () => {
  expect(encodeExportNameAnswer(0x200000, 0x6d, true)).toEqual(hex('0000000000200000', '006d'));
  expect(encodeExportNameAnswer(0x200000, 0x6d, false)).toEqual(
    hex('0000000000200000', '006d', '00'.repeat(124)),
  );
});

test('request and simple reply', () => {
  const request = decodeRequest(
    hex(
      'ee', // not part of it
      '25609513', // request magic
      '0001', // FUA
      '0001', // NBD_CMD_WRITE
      '0123456789abcdef', // cookie
      '0000000200000200', // offset 0x200000200
      '00001000', // length 4096
    ),
    1,
  );
  expect(request).toEqual({
    flags: 1,
    type: 1,
    cookieHigh: 0x01234567,
    cookieLow: 0x89abcdef,
    offset: 0x2_0000_0200,
    length: 4096,
  });
  const reply = Buffer.alloc(16);
  encodeSimpleReply(reply, request, 28);
  expect(reply).toEqual(hex('67446698', '0000001c', '0123456789abcdef'));
  expect(() => decodeRequest(Buffer.alloc(28), 0)).toThrow(ProtocolError);
});

test('decoders of any bytes give a value, undefined or their own error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 28, maxLength: 200, size: 'max' }), (raw) => {
      const bytes = Buffer.from(raw);
      decodeInfoRequest(bytes);
      decodeName(bytes);
      for (const decode of [decodeClientFlags, decodeOptionHeader, (b: Buffer) => decodeRequest(b, 0)]) {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }
    }),
  );
});
