/**
 * The few TPM 2.0 commands that tell a TPM's endorsement key (TCG, Trusted Platform Module Library, part 3: Commands;
 * structures in part 2). Big-endian. Pure.
 */
import { hexBytes } from '../../protocol/hex.ts';
import { joined } from '../../protocol/joined.ts';

const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;
const READ_PUBLIC = 0x173;
const CREATE_PRIMARY = 0x131;
const FLUSH_CONTEXT = 0x165;
const RH_ENDORSEMENT = 0x4000000b;
/** Password session: with no password, as hierarchies are until somebody sets one. */
const RS_PW = 0x40000009;
const HEADER = 10;
/** TPM_ALG_SHA256, and the size of a name that begins with it (part 1, "Names"). */
const SHA256 = 0x000b;
const NAME_SIZE = 2 + 32;

/** What was answered is not what the command's answer looks like. */
export class TpmFormatError extends Error {}

/** A TPM's refusal: `code` as in part 2, "TPM_RC". */
export class TpmRefusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`the TPM answers with error 0x${code.toString(16).padStart(3, '0')}`);
    this.code = code;
  }

  /** Its number, where it is an error of one argument (format one): without which argument it was. */
  get argumentError(): number | undefined {
    return this.code & 0x80 ? this.code & 0x3f : undefined;
  }

  /**
   * Whether it says nothing of what was asked: a warning of format zero (busy, testing itself, out of memory, "try again"),
   * TPM_RC_INITIALIZE, TPM_RC_FAILURE.
   */
  get passing(): boolean {
    return (this.code & 0x980) === 0x900 || this.code === 0x100 || this.code === 0x101;
  }
}

/** TPM_RC_HANDLE: there is nothing at this handle. */
export const NOTHING_THERE = 0x0b;
/** TPM_RC_ASYMMETRIC, _VALUE, _KEY_SIZE, _CURVE: what a TPM says that does not know the template's kind of key. */
export const UNKNOWN_KIND: readonly number[] = [0x01, 0x04, 0x07, 0x26];

export interface EndorsementTemplate {
  kind: 'RSA' | 'ECC';
  /** Where it is kept, if it is (TCG Provisioning Guidance, 7.8, "Reserved handles"). */
  handle: number;
  /** TPMT_PUBLIC up to `unique`, and `unique` as CreatePrimary is given it: zeroes. */
  fixed: Uint8Array;
  unique: Uint8Array;
}

/** PolicySecret(TPM_RH_ENDORSEMENT) (TCG EK Credential Profile, B.2, "PolicyA"). */
const POLICY = hexBytes('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
/** fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt. */
const ATTRIBUTES = '000300b2';
/** AES 128 CFB, then no scheme. */
const AES_128_CFB = '000600800043' + '0010';

/** TCG EK Credential Profile, B.3.3, template L-1: RSA 2048. */
export const RSA_TEMPLATE: EndorsementTemplate = {
  kind: 'RSA',
  handle: 0x81010001,
  fixed: joined([hexBytes(`0001000b${ATTRIBUTES}0020`), POLICY, hexBytes(`${AES_128_CFB}080000000000`)]),
  unique: sized(new Uint8Array(256)),
};

/** B.3.4, template L-2: ECC P-256. */
export const ECC_TEMPLATE: EndorsementTemplate = {
  kind: 'ECC',
  handle: 0x81010002,
  fixed: joined([hexBytes(`0023000b${ATTRIBUTES}0020`), POLICY, hexBytes(`${AES_128_CFB}00030010`)]),
  unique: joined([sized(new Uint8Array(32)), sized(new Uint8Array(32))]),
};

/** A key's public area (TPMT_PUBLIC), and its name's digest: SHA-256 of that area, which the TPM computes. */
export interface PublicKey {
  area: Uint8Array;
  digest: Uint8Array;
}

/** TPM2_ReadPublic (part 3, 12.4). */
export function readPublicCommand(handle: number): Uint8Array {
  return command(TAG_NO_SESSIONS, READ_PUBLIC, [u32(handle)]);
}

/** Throws TpmRefusal, TpmFormatError. */
export function readPublicAnswer(bytes: Uint8Array): PublicKey {
  const reader = answer(bytes, TAG_NO_SESSIONS);
  const area = reader.sized();
  return { area, digest: digestOf(reader.sized()) };
}

/** TPM2_CreatePrimary (part 3, 24.1) of an endorsement key: the same key each time, from the TPM's own seed. */
export function createPrimaryCommand({ fixed, unique }: EndorsementTemplate): Uint8Array {
  // Session, nonce, attributes, password: none.
  const authorisation = joined([u32(RS_PW), u16(0), new Uint8Array(1), u16(0)]);
  const noSecrets = sized(joined([u16(0), u16(0)]));
  return command(TAG_SESSIONS, CREATE_PRIMARY, [
    ...[u32(RH_ENDORSEMENT), u32(authorisation.length), authorisation],
    ...[noSecrets, sized(joined([fixed, unique]))],
    // No outside information, no PCRs.
    ...[u16(0), u32(0)],
  ]);
}

/** The key, and the handle it has until it is flushed. Throws TpmRefusal, TpmFormatError. */
export function createPrimaryAnswer(bytes: Uint8Array): PublicKey & { handle: number } {
  const reader = answer(bytes, TAG_SESSIONS);
  const handle = reader.u32();
  // Size of the parameters.
  reader.u32();
  const area = reader.sized();
  // Creation data and its hash; ticket: tag, hierarchy, digest.
  reader.sized();
  reader.sized();
  reader.u16();
  reader.u32();
  reader.sized();
  return { handle, area, digest: digestOf(reader.sized()) };
}

/** TPM2_FlushContext (part 3, 28.4). */
export function flushCommand(handle: number): Uint8Array {
  return command(TAG_NO_SESSIONS, FLUSH_CONTEXT, [u32(handle)]);
}

/** Whether a public area is what the template comes to: then it is the key that CreatePrimary gives. */
export function isOfTemplate({ area }: PublicKey, { fixed }: EndorsementTemplate): boolean {
  return area.length > fixed.length && fixed.every((byte, i) => area[i] === byte);
}

function digestOf(name: Uint8Array): Uint8Array {
  if (name.length !== NAME_SIZE || name[0] !== SHA256 >> 8 || name[1] !== (SHA256 & 0xff))
    throw new TpmFormatError('the key has no name of SHA-256');
  return name.subarray(2);
}

/** The answer behind its header: tag, size, response code. */
function answer(bytes: Uint8Array, tag: number): Reader {
  const reader = new Reader(bytes);
  const found = reader.u16();
  const size = reader.u32();
  const code = reader.u32();
  if (found !== TAG_NO_SESSIONS && found !== TAG_SESSIONS)
    throw new TpmFormatError(`it answers with tag 0x${found.toString(16)}: no TPM 2.0`);
  if (size !== bytes.length) throw new TpmFormatError(`${bytes.length} bytes of an answer of ${size}`);
  if (code !== 0) throw new TpmRefusal(code);
  if (found !== tag) throw new TpmFormatError(`an answer with tag 0x${found.toString(16)}`);
  return reader;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Bytes behind their number (TPM2B). */
  sized(): Uint8Array {
    const length = this.u16();
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) throw new TpmFormatError('the answer ends early');
    this.#at = at + length;
    return at;
  }
}

function command(tag: number, code: number, parts: Uint8Array[]): Uint8Array {
  const body = joined(parts);
  return joined([u16(tag), u32(HEADER + body.length), u32(code), body]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function sized(bytes: Uint8Array): Uint8Array {
  return joined([u16(bytes.length), bytes]);
}
