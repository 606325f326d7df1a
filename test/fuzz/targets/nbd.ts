/** NBD, the server's side: client flags, options, and requests with what is wrong with them. */
import {
  decodeClientFlags,
  decodeOptionHeader,
  decodeRequest,
  encodeSimpleReply,
  MAX_NAME,
  MAX_OPTION_DATA,
  MAX_PAYLOAD,
  OPTION_HEADER_SIZE,
  ProtocolError,
  REQUEST_SIZE,
} from '../../../imager/nbd/codec.ts';
import { wishOf } from '../../../imager/nbd/handshake.ts';
import { findFault } from '../../../imager/nbd/validate.ts';
import {
  CACHE,
  contextRequest,
  infoRequest,
  option,
  READ,
  request,
  STATUS,
  WRITE,
  ZEROES,
} from '../../nbd/raw-client.ts';
import { promise, refusable, type Target } from '../target.ts';

const SIZE = 2 ** 30;
const FLAGS_SIZE = 4;
const SITUATION = { tls: 'allowed', secure: false, structured: true } as const;
const TARGET = { size: SIZE, readOnly: false, blockSize: 4096, structured: true, contexts: true };

/** A packet is an option, or a request, or client flags, by its length. */
export function nbdTarget(): Target {
  return {
    seeds: [
      option(3),
      option(6, infoRequest('node1-root')),
      option(7, infoRequest('n')),
      option(1, Buffer.from('node1-root')),
      option(8),
      option(10, contextRequest('n', ['base:allocation', 'x-bootwright:dirty'])),
      request({ type: READ, offset: 4096, length: 4096, cookie: 1 }),
      request({ type: READ, offset: 4096, length: 4096, cookie: 1, flags: 4 }),
      request({ type: STATUS, offset: 0, length: 4096, cookie: 1, flags: 8 }),
      request({ type: CACHE, offset: 0, length: 4096, cookie: 1 }),
      request({ type: WRITE, offset: SIZE - 1, length: 1, cookie: 2, flags: 1 }),
      request({ type: ZEROES, offset: 12, length: 9999, flags: 2 }),
      Uint8Array.of(0, 0, 0, 3),
    ],
    tokens: [
      Uint8Array.of(0, 0, 0, 7),
      Uint8Array.of(0, 3),
      Buffer.alloc(8, 0xff),
      Uint8Array.of(0xc3, 0x28),
    ],
    maxLength: 2 * MAX_NAME,
    take(bytes) {
      const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
      return refusable(ProtocolError, () => {
        if (buffer.length === REQUEST_SIZE && buffer[0] === 0x25) requested(buffer);
        else if (buffer.length >= OPTION_HEADER_SIZE) haggled(buffer);
        else if (buffer.length >= FLAGS_SIZE) decodeClientFlags(buffer);
      });
    },
  };
}

function haggled(buffer: Buffer): void {
  const { option, length } = decodeOptionHeader(buffer);
  const data = buffer.subarray(OPTION_HEADER_SIZE);
  const wish = wishOf({ option, data, tooBig: length > MAX_OPTION_DATA }, SITUATION);
  if ('name' in wish) promise(Buffer.byteLength(wish.name) <= MAX_NAME, 'names are short');
  if ('wanted' in wish)
    promise(wish.wanted.length <= data.length / 2, `${wish.wanted.length} kinds of information`);
  if ('queries' in wish) promise(wish.queries.length <= data.length / 4, `${wish.queries.length} queries`);
  if (wish.kind === 'refuse') promise(wish.error > 0x80000000, 'a refusal has an error of its own');
}

function requested(buffer: Buffer): void {
  const found = decodeRequest(buffer, 0);
  const reply = Buffer.alloc(16);
  const fault = findFault(found, TARGET);
  encodeSimpleReply(reply, found, fault?.errno ?? 0);
  promise(reply.subarray(8).equals(buffer.subarray(8, 16)), 'a cookie goes back as it came');
  if (fault !== undefined || found.type > 1) return;
  promise(found.length <= MAX_PAYLOAD, 'data fit the buffer');
  promise(found.offset >= 0 && found.offset + found.length <= SIZE, 'data are of the disk');
}
