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
  REP_ERR,
} from './codec.ts';
import type { Context } from './contexts.ts';
import {
  type Answer,
  answerAbort,
  answerContexts,
  answerExportName,
  answerGranted,
  answerInfo,
  answerList,
  answerRefusal,
  type ExportFacts,
  type Option,
  type Refused,
  type TlsMode,
  wishOf,
} from './handshake.ts';
import type { Reader } from './reader.ts';

/** The world as a client may ask about it. */
export interface Exports {
  list(): string[];
  describe(name: string): ExportFacts | Refused;
  open(name: string): Promise<Disk | Refused>;
}

/** The stream a client is talked to through. */
export interface Talk {
  reader: Reader;
  /** Resolves once the system has taken the bytes, or nobody will. */
  send(bytes: Buffer): Promise<void>;
  tls: TlsMode;
  /** The client was told that there is nothing without TLS. */
  tlsMissing(): void;
  /** Puts TLS under `reader` and `send`, once what was sent is on its way. Rejects where the client fails it. */
  startTls(): Promise<void>;
  /** The answer to an option is taken: the client has its time for the next one. */
  optionDone(): void;
}

/** What was agreed on beside the disk. */
export interface Terms {
  /** Structured replies. */
  structured: boolean;
  /** Metadata contexts for NBD_CMD_BLOCK_STATUS. */
  contexts: readonly Context[];
}

/** Data of an option that is too long for us is skipped up to this length; a client that sends more is hung up on. */
const MAX_SKIPPED = 1024 * 1024;
/** A client that asks more than this is not going to open anything. Lists ask up to four times about each of 1000 exports. */
const MAX_OPTIONS = 4096;

/**
 * Talks a client through its options. Gives the disk it opened, with the answer that tells so already sent, or
 * undefined where it is to be hung up on. Throws ProtocolError where the client does not speak the protocol, and
 * what the reader and `startTls` throw where the stream ends.
 */
export async function negotiate(
  talk: Talk,
  exports: Exports,
): Promise<{ disk: Disk; terms: Terms } | undefined> {
  let sent = talk.send(encodeGreeting());
  const client = decodeClientFlags(await talk.reader.take(CLIENT_FLAGS_SIZE));
  const haggling = new Haggling(talk, exports, client.noZeroes);
  for (let count = 0; count < MAX_OPTIONS; count++) {
    // Whoever takes no answers is given no more of them.
    await sent;
    talk.optionDone();
    const option = await readOption(talk.reader);
    if (!client.fixedNewstyle && option.option !== OPT.exportName)
      throw new ProtocolError('option', `option ${option.option} without fixed newstyle`);
    const { answer, disk, name } = await haggling.decide(option);
    if (answer.bytes.length > 0) sent = talk.send(answer.bytes);
    if (answer.next === 'close') return undefined;
    if (disk !== undefined) return { disk, terms: haggling.termsFor(name) };
    if (answer.next === 'tls') await haggling.startTls();
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

/** What a client and we have agreed on so far. */
class Haggling {
  readonly #talk: Talk;
  readonly #exports: Exports;
  readonly #noZeroes: boolean;
  #secure = false;
  #structured = false;
  /** Of the last NBD_OPT_SET_META_CONTEXT: they count for that export alone. */
  #chosen: { name: string; contexts: Context[] } | undefined;

  constructor(talk: Talk, exports: Exports, noZeroes: boolean) {
    this.#talk = talk;
    this.#exports = exports;
    this.#noZeroes = noZeroes;
  }

  async decide(option: Option): Promise<{ answer: Answer; disk?: Disk; name?: string }> {
    // A choice takes the place of the one before also where it fails.
    if (option.option === OPT.setMetaContext) this.#chosen = undefined;
    const situation = { tls: this.#talk.tls, secure: this.#secure, structured: this.#structured };
    const wish = wishOf(option, situation);
    switch (wish.kind) {
      case 'list':
        return { answer: answerList(this.#exports.list()) };
      case 'describe':
        return { answer: answerInfo(wish, this.#exports.describe(wish.name), this.#structured) };
      case 'go':
      case 'export-name': {
        const found = await this.#exports.open(wish.name);
        const answer =
          wish.kind === 'go'
            ? answerInfo(wish, this.#advised(wish.name, found), this.#structured)
            : answerExportName(found, this.#structured, this.#noZeroes);
        return 'refused' in found ? { answer } : { answer, disk: found, name: wish.name };
      }
      case 'structured':
        this.#structured = true;
        return { answer: answerGranted(option.option) };
      case 'list-contexts':
      case 'set-contexts': {
        const { answer, chosen } = answerContexts(wish, this.#exports.describe(wish.name));
        if (wish.kind === 'set-contexts') this.#chosen = { name: wish.name, contexts: chosen };
        return { answer };
      }
      case 'start-tls':
        return { answer: { ...answerGranted(option.option), next: 'tls' } };
      case 'abort':
        return { answer: answerAbort() };
      case 'refuse':
        if (wish.error === REP_ERR.tlsRequired) this.#talk.tlsMissing();
        return { answer: answerRefusal(option.option, wish.error, wish.why) };
    }
  }

  /** The block size is that which a client is to have, not that in which the disk is stored. */
  #advised(name: string, found: Disk | Refused): ExportFacts | Refused {
    if ('refused' in found) return found;
    const { size, readOnly } = found;
    const said = this.#exports.describe(name);
    return { size, readOnly, blockSize: 'refused' in said ? found.blockSize : said.blockSize };
  }

  /** What was agreed on in the open counts no more, and what came in the open behind the wish must not be obeyed. */
  async startTls(): Promise<void> {
    if (this.#talk.reader.length > 0)
      throw new ProtocolError('option', 'talked on in the open behind NBD_OPT_STARTTLS');
    await this.#talk.startTls();
    this.#secure = true;
    this.#structured = false;
    this.#chosen = undefined;
  }

  termsFor(name: string | undefined): Terms {
    const contexts = this.#chosen?.name === name ? (this.#chosen?.contexts ?? []) : [];
    return { structured: this.#structured, contexts };
  }
}
