/** Digests and signatures as agents check them, on Node. */
import { createHash, createPublicKey, verify as verifyWith } from 'node:crypto';
import type { Digest } from '../linux/host.ts';

const POINT_SIZE = 65;
const SIGNATURE_SIZE = 64;
/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480 section 2). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** `Host.startSha256`. */
export function startSha256(): Digest {
  const hash = createHash('sha256');
  return { add: (bytes) => void hash.update(bytes), end: () => new Uint8Array(hash.digest()) };
}

/** `Host.sha256`. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/** `Host.verify`. */
export function verify(point: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (point.length !== POINT_SIZE || signature.length !== SIGNATURE_SIZE) return false;
  try {
    const key = createPublicKey({ key: Buffer.concat([P256_PREFIX, point]), format: 'der', type: 'spki' });
    return verifyWith('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    // No point of the curve.
    return false;
  }
}
