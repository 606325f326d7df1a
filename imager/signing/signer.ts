/**
 * The key the cluster signs with: P-256, in STATE/signing-key.pem (PKCS #8, mode 0600), made once. Who has it can have scripts run
 * on every node, so it never leaves this file; nodes have the point alone.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceDurably } from '../storage/durable.ts';

/** In the state folder. */
export const SIGNING_KEY = 'signing-key.pem';

export interface Signer {
  /** Uncompressed point, 65 bytes: Definition.signer. */
  readonly point: Uint8Array;
  /** ECDSA with SHA-256: r and s, 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array;
  /** Whether that is this key's signature over `bytes`. */
  verify(bytes: Uint8Array, signature: Uint8Array): boolean;
}

/** Opens the key of a state folder, or makes it. Throws Error that names the file where it is no such key. */
export function openSigner(state: string): Signer {
  const path = join(state, SIGNING_KEY);
  if (!existsSync(path)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    replaceDurably(state, SIGNING_KEY, privateKey.export({ format: 'pem', type: 'pkcs8' }), 0o600);
  }
  // One that came from a backup.
  chmodSync(path, 0o600);
  try {
    return signerOf(createPrivateKey(readFileSync(path)));
  } catch (error) {
    throw new Error(`${path} is no P-256 key in PEM (${(error as Error).message})`, { cause: error });
  }
}

/** A key of its own that nothing keeps. */
export function temporarySigner(): Signer {
  return signerOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

function signerOf(key: KeyObject): Signer {
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('another kind of key');
  const point = createPublicKey(key);
  const spki = point.export({ format: 'der', type: 'spki' });
  return {
    point: new Uint8Array(spki.subarray(-65)),
    sign: (bytes) => new Uint8Array(sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' })),
    verify: (bytes, signature) =>
      verify('sha256', bytes, { key: point, dsaEncoding: 'ieee-p1363' }, signature),
  };
}
