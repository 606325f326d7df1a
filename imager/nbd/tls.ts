/**
 * TLS under a connection that asked for it (NBD_OPT_STARTTLS), and who is at its other end: clients prove what they are by
 * a certificate of our CA, or by a pre-shared key. TLS 1.2 and later; no session is resumed, so that each connection
 * proves it anew.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';

export interface TlsSettings {
  /** `allowed`: whoever wants it; `required`: nothing is told or given without. */
  mode: 'allowed' | 'required';
  /** PEM: our certificate and its key, and the CA of the clients' certificates. */
  x509?: { cert: string | Buffer; key: string | Buffer; ca: string | Buffer };
  /** Keys by the name their owner says with them. */
  psk?: ReadonlyMap<string, Buffer>;
}

/** Key exchanges with pre-shared keys and forward secrecy, for TLS 1.2: Node's defaults have none. TLS 1.3 has its own. */
const PSK_CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-PSK-CHACHA20-POLY1305',
  'DHE-PSK-AES256-GCM-SHA384',
  'DHE-PSK-AES128-GCM-SHA256',
];
const X509_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];

/** A client failed TLS: `message` says how. */
export class TlsFailure extends Error {}

export interface SecureStream {
  socket: TLSSocket;
  identity: string;
}

interface Waiting {
  done(stream: SecureStream): void;
  failed(error: Error): void;
}

export class TlsGate {
  readonly mode: TlsSettings['mode'];
  readonly #server: Server;
  /** Handshakes under way, by their peer's address and port. */
  readonly #waiting = new Map<string, Waiting>();
  /** The name each connection said last with a pre-shared key. It is proved by the handshake's end. */
  readonly #names = new WeakMap<TLSSocket, string>();

  /** Throws Error where certificate, key or CA are no such. */
  constructor({ mode, x509, psk }: TlsSettings) {
    this.mode = mode;
    this.#server = createServer({
      ...x509,
      minVersion: 'TLSv1.2',
      ciphers: [...(psk === undefined ? [] : PSK_CIPHERS), ...X509_CIPHERS].join(':'),
      dhparam: 'auto',
      requestCert: true,
      rejectUnauthorized: true,
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
      ...(psk === undefined
        ? {}
        : {
            pskCallback: (socket: TLSSocket, name: string) => {
              this.#names.set(socket, name);
              return psk.get(name) ?? null;
            },
          }),
    });
    this.#server.on('secureConnection', (socket) => {
      const waiting = this.#waiting.get(peerOf(socket));
      const identity = this.#identityOf(socket);
      if (identity === undefined)
        waiting?.failed(new TlsFailure('the certificate names nobody (no common name)'));
      else waiting?.done({ socket, identity });
    });
    this.#server.on('tlsClientError', (error, socket) =>
      this.#waiting.get(peerOf(socket))?.failed(new TlsFailure(error.message)),
    );
  }

  /**
   * Puts TLS on a connection of which nothing else reads any more. Rejects with TlsFailure where the client fails the
   * handshake, or leaves in the middle of it; the connection is closed then.
   */
  async secure(socket: Socket): Promise<SecureStream> {
    const peer = peerOf(socket);
    try {
      return await new Promise<SecureStream>((done, failed) => {
        this.#waiting.set(peer, { done, failed });
        socket.once('close', () => failed(new TlsFailure('the client left during the TLS handshake')));
        this.#server.emit('connection', socket);
      });
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      this.#waiting.delete(peer);
    }
  }

  /**
   * A certificate counts before a key's name: a name may have been said, and the key then not used. Without a
   * certificate the handshake is through only where a key was used, and the last name said is that key's.
   */
  #identityOf(socket: TLSSocket): string | undefined {
    const { subject } = socket.getPeerCertificate();
    if (subject === undefined) return this.#names.get(socket);
    // Several common names are a list, and no one's name.
    return typeof subject.CN === 'string' ? subject.CN : undefined;
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
