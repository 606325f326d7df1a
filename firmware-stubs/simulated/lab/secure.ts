/**
 * In the place of TLS between a simulated node and its imager: a stand-in, which keeps nothing secret and nothing from being
 * changed. The node sends the identity and a digest of its key in clear, and the imager takes it or hangs up, so that who has
 * which key matters here too. What TLS itself does is tested on real sockets (test/contract/secure.ts).
 */
import { createHash } from 'node:crypto';
import { HostError, type Secret } from '../../../agent/linux/host.ts';
import type { StreamEnd } from './network.ts';

const TAKEN = new TextEncoder().encode('taken');

/** The node's side. Rejects with HostError where the imager does not take the key. */
export async function present(stream: StreamEnd, { identity, key }: Secret): Promise<void> {
  stream.write(new TextEncoder().encode(`${digestOf(key)} ${identity}`));
  if ((await stream.read()) === undefined)
    throw new HostError('EKEYREJECTED', 'tls handshake, refused by the peer (simulated)');
}

/** The imager's side: who it is; undefined, and hung up on, where that is nobody or the key is another. */
export async function take(
  stream: StreamEnd,
  keyOf: (identity: string) => Uint8Array | undefined,
): Promise<string | undefined> {
  const [digest = '', identity = ''] = new TextDecoder().decode(await stream.read()).split(' ');
  const key = keyOf(identity);
  if (key !== undefined && digestOf(key) === digest) {
    stream.write(TAKEN);
    return identity;
  }
  stream.close();
  return undefined;
}

function digestOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex');
}
