/** The client's side of the agent port, with Node's TLS. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Secret } from '../../agent/linux/host.ts';
import { ENROL_IDENTITY, ENROLMENT_KEY } from '../../agent/protocol/enrolment.ts';

export const ENROL: Secret = { identity: ENROL_IDENTITY, key: ENROLMENT_KEY };

export interface Place {
  port: number;
  host?: string;
  localAddress?: string;
}

/** Connects and secures; rejects with the error of either. `raw`: the TCP connection underneath. */
export async function connectSecure(
  { port, host = '127.0.0.1', localAddress }: Place,
  { identity, key }: Secret = ENROL,
): Promise<{ socket: TLSSocket; raw: Socket }> {
  const raw = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) });
  const socket = connectTls({
    socket: raw,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_CHACHA20_POLY1305_SHA256',
    pskCallback: () => ({ identity, psk: key }),
    checkServerIdentity: () => new Error('a certificate in the place of the key'),
  });
  return new Promise((resolve, reject) => {
    raw.once('error', reject);
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      socket.off('error', reject);
      resolve({ socket, raw });
    });
  });
}
