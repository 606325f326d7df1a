/** What every Host does with TLS, digests and signatures. As host.ts: one program for each runtime, its findings compared. */
import { type Connection, type Host, HostError, type Secret } from '../../agent/linux/host.ts';
import { echoed } from './echoed.ts';
import type { Seen } from './host.ts';

export const IDENTITY = '0f8e3c52-5a57-4d0a-9d5a-6d1f0f7f1a01';
/** 1, 2, 3 ... 32. */
export const KEY = Uint8Array.from({ length: 32 }, (_, n) => n + 1);

/** Ports on 127.0.0.1 of test/agent/host/secure-peers.ts. */
export interface SecurePeers {
  /** Sends everything back, and ends after `bye`. */
  echo: number;
  /** The same, with a proxy in between that changes a bit of the second record the server sends after the handshake. */
  flips: number;
  /** The same, with a proxy that hangs up in the middle of that record. */
  cuts: number;
  /** Takes connections and says nothing. */
  stalls: number;
  /** Does not know TLS: says something else. */
  plain: number;
  /** `openssl s_server -rev`: sends each line back, reversed. */
  openssl: number;
  /** Shows a certificate, knows no key. */
  certificate: number;
}

export interface Signed {
  point: number[];
  text: string;
  signature: number[];
}

const SENT = 1_048_576;
const PATIENCE_MS = 10_000;

export const EXPECTED_SECURE: Seen = {
  echoed: SENT,
  echoIntact: true,
  end: 'undefined',
  again: 'second',
  wrongKey: 'EKEYREJECTED',
  unknownIdentity: 'EPROTO',
  shortKey: 'EINVAL',
  flipped: ['hello', 'EPROTO'],
  cut: ['hello', 'undefined'],
  stalled: 'ETIMEDOUT',
  plain: 'EPROTO',
  certificate: 'EPROTO',
  openssl: 'desrever\n',
  closedTwice: true,
  writeAfterClose: true,
  digest: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  digestInPieces: true,
  emptyDigest: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  verified: true,
  refusedText: false,
  refusedSignature: false,
  refusedPoint: false,
  refusedLength: false,
};

export async function runSecureContract(host: Host, peers: SecurePeers, signed: Signed): Promise<Seen> {
  const open = async (port: number, secret: Partial<Secret> = {}, patience = PATIENCE_MS) => {
    const plain = await host.connect('127.0.0.1', port, PATIENCE_MS);
    return host.secure(plain, { identity: IDENTITY, key: KEY, ...secret }, patience);
  };
  const other = KEY.slice();
  other[31]! ^= 1;
  return {
    ...(await echo(open, peers.echo)),
    wrongKey: await codeOf(open(peers.echo, { key: other })),
    unknownIdentity: await codeOf(open(peers.echo, { identity: 'somebody' })),
    shortKey: await codeOf(open(peers.echo, { key: KEY.subarray(1) })),
    flipped: await twoRecords(await open(peers.flips)),
    cut: await twoRecords(await open(peers.cuts)),
    stalled: await codeOf(open(peers.stalls, {}, 100)),
    plain: await codeOf(open(peers.plain)),
    certificate: await codeOf(open(peers.certificate)),
    openssl: await ask(await open(peers.openssl), 'reversed\n', 9),
    ...digests(host),
    ...signatures(host, signed),
  };
}

type Open = (port: number) => Promise<Connection>;

async function echo(open: Open, port: number): Promise<Seen> {
  const connection = await open(port);
  const sent = Uint8Array.from({ length: SENT }, (_, n) => n % 251);
  const { received, length, end } = await echoed(connection, sent, 100_000);
  return {
    echoed: length,
    echoIntact: received.every((byte, n) => byte === sent[n]),
    end,
    again: await ask(await open(port), 'second', 6),
    closedTwice: true,
    writeAfterClose: (await codeOf(connection.write(bytes('x')))) !== '',
  };
}

/** What comes first, and how it goes on with the second record. */
async function twoRecords(connection: Connection): Promise<string[]> {
  const first = await ask(connection, 'hello', 5, false);
  const second = connection.read().then((chunk) => (chunk === undefined ? 'undefined' : text(chunk)));
  await connection.write(bytes('second')).catch(() => undefined);
  const seen = await second.catch((error: unknown) =>
    error instanceof HostError ? error.code : String(error),
  );
  connection.close();
  return [first, seen];
}

async function ask(connection: Connection, question: string, length: number, close = true): Promise<string> {
  await connection.write(bytes(question));
  let answer = '';
  while (answer.length < length) {
    const chunk = await connection.read();
    if (chunk === undefined) break;
    answer += text(chunk);
  }
  if (close) connection.close();
  return answer;
}

function digests(host: Host): Seen {
  const digest = host.startSha256();
  for (let n = 0; n < 1000; n++) digest.add(Uint8Array.from({ length: n }, () => n & 0xff));
  const whole = new Uint8Array((999 * 1000) / 2);
  for (let n = 0, at = 0; n < 1000; at += n, n++) whole.fill(n & 0xff, at, at + n);
  return {
    // FIPS 180-4, the example of one block.
    digest: hex(host.sha256(bytes('abc'))),
    emptyDigest: hex(host.sha256(new Uint8Array(0))),
    digestInPieces: hex(digest.end()) === hex(host.sha256(whole)),
  };
}

function signatures(host: Host, signed: Signed): Seen {
  const point = Uint8Array.from(signed.point);
  const signature = Uint8Array.from(signed.signature);
  const changed = (whole: Uint8Array, at: number) => whole.map((byte, n) => (n === at ? byte ^ 1 : byte));
  return {
    verified: host.verify(point, bytes(signed.text), signature),
    refusedText: host.verify(point, bytes(`${signed.text}.`), signature),
    refusedSignature: host.verify(point, bytes(signed.text), changed(signature, 40)),
    refusedPoint: host.verify(changed(point, 64), bytes(signed.text), signature),
    refusedLength: host.verify(point, bytes(signed.text), signature.subarray(1)),
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return '';
  } catch (error) {
    return error instanceof HostError ? error.code : `not a HostError: ${String(error)}`;
  }
}

function hex(value: Uint8Array): string {
  return [...value].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
