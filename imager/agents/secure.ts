/**
 * The agent port: TLS 1.3 with pre-shared keys and nothing else (RFC 8446 section 4.2.11). Who connects is known by its key before
 * it says a word; whoever has none is told so, counted, and never heard.
 */
import { constants, randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { ENROL_IDENTITY } from '../../agent/protocol/enrolment.ts';
import { isUuid, KEY_BYTES } from '../../agent/protocol/local-content.ts';
import { plain } from '../../agent/protocol/plain.ts';

/** Why a connection came to nothing before it was secured. */
export type Refusal =
  /** Nobody here has this identity. */
  | 'unknown-identity'
  /** It has the identity and not its key. */
  | 'wrong-key'
  /** It speaks no TLS. */
  | 'plain'
  /** Not the TLS that is spoken here, or a handshake that was tampered with. */
  | 'handshake'
  | 'handshake-deadline'
  | 'too-many-per-address';

export interface SecureEvents {
  /** The key of an identity; undefined where there is none. */
  keyOf(identity: string): Uint8Array | undefined;
  secured(socket: Socket, identity: string): void;
  /** `identity`: what it offered, where it came to that. */
  refused(reason: Refusal, address: string, why: string, identity?: string): void;
  /** The other side went away in the middle of the handshake. */
  abandoned(): void;
}

/** Both of AEAD and a key exchange of their own for each connection, which the protocol's version sees to. */
const CIPHERS = 'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';
/** Connections of one address whose handshake is under way, or whose socket has not gone yet. */
const MAX_PER_ADDRESS = 16;
const HANDSHAKE_TIMEOUT = 'ERR_TLS_HANDSHAKE_TIMEOUT';
const PLAIN = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_BAD_RECORD_TYPE',
]);

/** A server that does not listen yet. */
export function secureServer(events: SecureEvents, handshakeMs: number): Server {
  /** Undefined where the last identity it offered is nobody's. */
  const offered = new WeakMap<Socket, { identity: string; known: boolean }>();
  const server = createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 10_000,
    minVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    handshakeTimeout: handshakeMs,
    // A ticket would take the place of the key: each connection proves anew that it has it.
    secureOptions: constants.SSL_OP_NO_TICKET,
    pskCallback(socket, identity) {
      const key = events.keyOf(identity);
      offered.set(socket as unknown as Socket, { identity, known: key !== undefined });
      // A key that nobody has: who offers an identity is told the same, whether or not somebody has it (RFC 8446 appendix E.6).
      return key ?? randomBytes(KEY_BYTES);
    },
  });
  limit(server, events);
  server.on('secureConnection', (socket) => {
    const given = offered.get(socket);
    const address = addressOf(socket);
    if (address !== undefined && given?.known) return events.secured(socket, given.identity);
    if (address === undefined) events.abandoned();
    else events.refused('unknown-identity', address, 'no key of a node was used');
    socket.destroy();
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const address = addressOf(socket);
    const refusal = address === undefined ? undefined : refusalOf(error, address, offered.get(socket));
    if (refusal === undefined) events.abandoned();
    else events.refused(refusal.reason, address!, refusal.why, offered.get(socket)?.identity);
    // Of this fault alone Node.js leaves the end to us. Later: it is not through with the socket.
    if (error.code === HANDSHAKE_TIMEOUT) setImmediate(() => socket.destroy());
  });
  return server;
}

function limit(server: Server, events: SecureEvents): void {
  const open = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const address = addressOf(socket);
    // The handshake is told that it is over.
    if (address === undefined) return void socket.destroy();
    const others = open.get(address) ?? 0;
    open.set(address, others + 1);
    socket.once('close', () => {
      const left = open.get(address)! - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
    if (others < MAX_PER_ADDRESS) return;
    events.refused('too-many-per-address', address, `${others} connections of ${address}`);
    socket.destroy();
  });
}

/** Undefined where the other side just went away. */
function refusalOf(
  { code = '', message }: NodeJS.ErrnoException,
  address: string,
  given: { identity: string; known: boolean } | undefined,
): { reason: Refusal; why: string } | undefined {
  const identity = shown(given?.identity ?? '');
  if (code === HANDSHAKE_TIMEOUT) return { reason: 'handshake-deadline', why: 'the handshake took too long' };
  if (!code.startsWith('ERR_SSL_')) return undefined;
  if (PLAIN.has(code))
    return { reason: 'plain', why: 'it speaks no TLS: boot an image built with this imager' };
  if (given === undefined) return { reason: 'handshake', why: plain(message) };
  if (!given.known) return { reason: 'unknown-identity', why: unknownWords(given.identity, address) };
  if (code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY' && given.identity === ENROL_IDENTITY)
    return {
      reason: 'wrong-key',
      why:
        "it has not this cluster's key of enrolment (agents.enrolmentKey): a node that boots an image has it from " +
        'imager image build --enrolment-key, agent supervise is told of it with --enrolment-key',
    };
  return code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY'
    ? { reason: 'wrong-key', why: `the key is not that of ${identity}` }
    : { reason: 'handshake', why: `${identity}: ${plain(message)}` };
}

function shown(identity: string): string {
  return `"${plain(identity.slice(0, 64))}"`;
}

function unknownWords(identity: string, address: string): string {
  const name = shown(identity);
  if (!isUuid(identity)) return `${name} is no definition of this cluster`;
  return (
    `a node with an unknown definition from ${address}: ${name} is another cluster's, or this imager's registry was lost since; ` +
    `on a node that is to be defined here anew: agent local erase CLUSTER (agent local show lists them)`
  );
}

/** Undefined where the other side has reset the connection, and this socket was not asked before. */
function addressOf(socket: Socket | TLSSocket): string | undefined {
  return socket.remoteAddress?.replace(/^::ffff:/, '');
}
