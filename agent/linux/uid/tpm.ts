/** The endorsement key of a TPM 2.0: made from a seed that never leaves the TPM, and the same until that seed is changed. */
import type { Host } from '../host.ts';
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

/** The kernel's resource manager, which keeps what others have loaded apart from ours; else the TPM itself. */
const DEVICES = ['/dev/tpmrm0', '/dev/tpm0'];

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
    const send = (bytes: Uint8Array) => host.transact(device, bytes);
    try {
      return ofKind(send, RSA_TEMPLATE) ?? ofKind(send, ECC_TEMPLATE) ?? { why: 'it knows no RSA, no ECC' };
    } catch (error) {
      if (error instanceof TpmRefusal || error instanceof TpmFormatError)
        return { why: `${device}: ${error.message}` };
      throw error;
    }
  },
};

type Send = (command: Uint8Array) => ReturnType<Host['transact']>;

/** Undefined where the TPM knows no such keys. */
function ofKind(send: Send, template: EndorsementTemplate): Finding | undefined {
  const digest = keptDigest(send, template) ?? madeDigest(send, template);
  return (
    digest && { uid: `tpm:${Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')}` }
  );
}

/** Undefined where the handle is empty or has another key than the template's. */
function keptDigest(send: Send, template: EndorsementTemplate): Uint8Array | undefined {
  try {
    const key = readPublicAnswer(send(readPublicCommand(template.handle)));
    return isOfTemplate(key, template) ? key.digest : undefined;
  } catch (error) {
    // A key with a name of another algorithm is not the template's either.
    if (error instanceof TpmFormatError) return undefined;
    if (error instanceof TpmRefusal && error.argumentError === NOTHING_THERE) return undefined;
    throw error;
  }
}

function madeDigest(send: Send, template: EndorsementTemplate): Uint8Array | undefined {
  try {
    const { handle, digest } = createPrimaryAnswer(send(createPrimaryCommand(template)));
    // The resource manager has done so by now, and knows the handle no more.
    send(flushCommand(handle));
    return digest;
  } catch (error) {
    const code = error instanceof TpmRefusal ? error.argumentError : undefined;
    if (code !== undefined && UNKNOWN_KIND.includes(code)) return undefined;
    throw error;
  }
}
