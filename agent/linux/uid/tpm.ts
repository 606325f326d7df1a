/** The endorsement key of a TPM 2.0: made from a seed that never leaves the TPM, and the same until that seed is changed. */
import { hex } from '../../protocol/hex.ts';
import { HostError } from '../host.ts';
import type { Finding, UidSource } from './source.ts';
import {
  createPrimaryAnswer,
  createPrimaryCommand,
  ECC_TEMPLATE,
  type EndorsementTemplate,
  flushCommand,
  isOfTemplate,
  NOTHING_THERE,
  RSA_TEMPLATE,
  readPublicAnswer,
  readPublicCommand,
  TpmFormatError,
  TpmRefusal,
  UNKNOWN_KIND,
} from './tpm-codec.ts';

/** The kernel's resource manager, which keeps what others have loaded apart from ours and forgets it with each close. */
const MANAGER = '/dev/tpmrm0';
const DEVICES = [MANAGER, '/dev/tpm0'];

/**
 * The digest of the endorsement key that the TCG's template of RSA keys gives, of ECC keys where the TPM knows no RSA. One that
 * is kept at the handle reserved for it saves making it, which takes a discrete TPM some seconds; it is the same key, so the
 * UID does not change when somebody keeps it there.
 */
export const tpmEndorsementKey: UidSource = {
  name: 'tpm',
  about: 'endorsement key of the TPM',
  read(host) {
    const device = DEVICES.find((path) => host.exists(path));
    if (device === undefined) return { why: 'there is no TPM' };
    const tpm: Tpm = {
      send: (bytes) => host.transact(device, bytes),
      // The manager refuses to flush a handle that it has forgotten by then.
      flush(handle) {
        if (device !== MANAGER) host.transact(device, flushCommand(handle));
      },
    };
    try {
      return ofKind(tpm, RSA_TEMPLATE) ?? ofKind(tpm, ECC_TEMPLATE) ?? { why: 'it knows no RSA, no ECC' };
    } catch (error) {
      if (error instanceof TpmRefusal && error.passing)
        throw new HostError('EIO', `${device}: ${error.message}`);
      if (error instanceof TpmRefusal || error instanceof TpmFormatError)
        return { why: `${device}: ${error.message}` };
      throw error;
    }
  },
};

interface Tpm {
  send(command: Uint8Array): Uint8Array;
  flush(handle: number): void;
}

/** Undefined where the TPM knows no such keys. */
function ofKind(tpm: Tpm, template: EndorsementTemplate): Finding | undefined {
  const digest = keptDigest(tpm, template) ?? madeDigest(tpm, template);
  return digest && { uid: `tpm:${hex(digest)}` };
}

/** Undefined where the handle is empty or has another key than the template's. */
function keptDigest(tpm: Tpm, template: EndorsementTemplate): Uint8Array | undefined {
  try {
    const key = readPublicAnswer(tpm.send(readPublicCommand(template.handle)));
    return isOfTemplate(key, template) ? key.digest : undefined;
  } catch (error) {
    // A key with a name of another algorithm is not the template's either.
    if (error instanceof TpmFormatError) return undefined;
    if (error instanceof TpmRefusal && error.argumentError === NOTHING_THERE) return undefined;
    throw error;
  }
}

function madeDigest(tpm: Tpm, template: EndorsementTemplate): Uint8Array | undefined {
  try {
    const { handle, digest } = createPrimaryAnswer(tpm.send(createPrimaryCommand(template)));
    tpm.flush(handle);
    return digest;
  } catch (error) {
    const code = error instanceof TpmRefusal ? error.argumentError : undefined;
    if (code !== undefined && UNKNOWN_KIND.includes(code)) return undefined;
    throw error;
  }
}
