/** The handshake phase of one connection, from the greeting to an open disk ("Newstyle negotiation"). */
import type { Disk } from '../disks/disk.ts';
import {
  CLIENT_FLAGS_SIZE,
  decodeClientFlags,
  decodeOptionHeader,
  encodeGreeting,
  MAX_OPTION_DATA,
  OPT,
  OPTION_HEADER_SIZE,
  ProtocolError,
} from './codec.ts';
import {
  type Answer,
  answerAbort,
  answerExportName,
  answerInfo,
  answerList,
  answerRefusal,
  type ExportFacts,
  type Option,
  type Refused,
  wishOf,
} from './handshake.ts';
import type { Reader } from './reader.ts';

/** The world as a client may ask about it. */
export interface Exports {
  list(): string[];
  describe(name: string): ExportFacts | Refused;
  open(name: string): Promise<Disk | Refused>;
}

/** Data of an option that is too long for us is skipped up to this length; a client that sends more is hung up on. */
const MAX_SKIPPED = 1024 * 1024;
/** A client that asks more than this is not going to open anything. */
const MAX_OPTIONS = 1024;

/**
 * Talks a client through its options. Gives the disk it opened, with the answer that tells so already sent, or
 * undefined where it is to be hung up on. Throws ProtocolError where the client does not speak the protocol, and
 * what `reader` throws where the stream ends.
 */
export async function negotiate(
  reader: Reader,
  send: (bytes: Buffer) => void,
  exports: Exports,
): Promise<Disk | undefined> {
  send(encodeGreeting());
  const client = decodeClientFlags(await reader.take(CLIENT_FLAGS_SIZE));
  for (let count = 0; count < MAX_OPTIONS; count++) {
    const option = await readOption(reader);
    if (!client.fixedNewstyle && option.option !== OPT.exportName)
      throw new ProtocolError('option', `option ${option.option} without fixed newstyle`);
    const { answer, disk } = await decide(option, exports, client.noZeroes);
    if (answer.bytes.length > 0) send(answer.bytes);
    if (answer.next === 'close') return undefined;
    if (answer.next === 'transmission') return disk;
  }
  throw new ProtocolError('option', `more than ${MAX_OPTIONS} options`);
}

async function readOption(reader: Reader): Promise<Option> {
  const { option, length } = decodeOptionHeader(await reader.take(OPTION_HEADER_SIZE));
  if (length > MAX_SKIPPED)
    throw new ProtocolError('option', `option ${option} with ${length} bytes of data`);
  if (length <= MAX_OPTION_DATA) return { option, data: await reader.take(length), tooBig: false };
  for (let left = length; left > 0; ) left -= (await reader.take(Math.min(left, 16_384))).length;
  return { option, data: Buffer.alloc(0), tooBig: true };
}

async function decide(
  option: Option,
  exports: Exports,
  noZeroes: boolean,
): Promise<{ answer: Answer; disk?: Disk }> {
  const wish = wishOf(option);
  switch (wish.kind) {
    case 'list':
      return { answer: answerList(exports.list()) };
    case 'describe':
      return { answer: answerInfo(wish, exports.describe(wish.name)) };
    case 'go':
    case 'export-name': {
      const found = await exports.open(wish.name);
      const answer = wish.kind === 'go' ? answerInfo(wish, found) : answerExportName(found, noZeroes);
      return 'refused' in found ? { answer } : { answer, disk: found };
    }
    case 'abort':
      return { answer: answerAbort() };
    case 'refuse':
      return { answer: answerRefusal(option.option, wish.error, wish.why) };
  }
}
