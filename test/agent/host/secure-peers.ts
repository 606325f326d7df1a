/** Peers of the contract's TLS: Node's server, OpenSSL's, and those that do it wrong. */
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { onTestFinished } from 'vitest';
import { IDENTITY, KEY, type SecurePeers, type Signed } from '../../contract/secure.ts';
import { endsWithTest } from '../../support/ends-with-test.ts';
import { listening } from '../../support/listening.ts';
import { closedPort } from './echo.ts';

const APPLICATION_DATA = 23;

/** Starts them all, for one test. */
export async function startSecurePeers(): Promise<SecurePeers> {
  const folder = mkdtempSync(join(tmpdir(), 'bootwright-peers-'));
  const withKey = createTlsServer(
    { pskCallback: (_, identity) => (identity === IDENTITY ? KEY : null) } as TlsOptions,
    sendBack,
  );
  const withCertificate = createTlsServer(certificateIn(folder), sendBack);
  const echo = await listening(withKey);
  const servers: Server[] = [withKey, withCertificate];
  const started = async (server: Server): Promise<number> => {
    servers.push(server);
    return listening(server);
  };
  const peers = {
    echo,
    certificate: await listening(withCertificate),
    flips: await started(proxy(echo, (record) => record.map((byte, at) => (at === 9 ? byte ^ 0x10 : byte)))),
    cuts: await started(proxy(echo, (record) => record.subarray(0, 12))),
    stalls: await started(createServer((socket) => socket.on('error', () => {}))),
    plain: await started(createServer((socket) => socket.on('error', () => {}).write('220 ready\r\n'))),
    openssl: await startOpenssl(),
  };
  onTestFinished(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return peers;
}

export function signedText(): Signed {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const text = 'a plan';
  return {
    text,
    point: [...publicKey.export({ format: 'der', type: 'spki' }).subarray(-65)],
    signature: [...sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })],
  };
}

function sendBack(socket: TLSSocket): void {
  socket.on('data', (chunk) => {
    socket.write(chunk);
    if (chunk.subarray(-3).toString() === 'bye') socket.end();
  });
  socket.on('error', () => socket.destroy());
}

/** Passes TLS on. The server's last record of all is what `change` makes of the third it sends after the client's first data. */
function proxy(port: number, change: (record: Uint8Array) => Uint8Array): Server {
  return createServer((client) => {
    const server = connect(port, '127.0.0.1');
    let fromClient = 0;
    client.on('data', (chunk) => {
      fromClient += recordsIn(chunk);
      server.write(chunk);
    });
    server.on('data', (chunk) => {
      // Finished and `hello` are behind the client: what comes now answers its second record of data.
      const second = fromClient >= 3 && chunk[0] === APPLICATION_DATA;
      if (!second) return void client.write(chunk);
      const changed = change(chunk);
      if (changed.length < chunk.length) client.end(changed);
      else client.write(changed);
    });
    for (const socket of [client, server])
      socket
        .on('error', () => {})
        .on('close', () => {
          client.destroy();
          server.destroy();
        });
  });
}

/** Whole application data records in what came at once. */
function recordsIn(chunk: Uint8Array): number {
  let count = 0;
  for (let at = 0; at + 5 <= chunk.length; at += 5 + ((chunk[at + 3]! << 8) | chunk[at + 4]!))
    if (chunk[at] === APPLICATION_DATA) count += 1;
  return count;
}

function certificateIn(folder: string): TlsOptions {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const form = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=imager'];
  execFileSync('openssl', ['req', '-x509', ...form, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

async function startOpenssl(): Promise<number> {
  const port = await closedPort();
  const key = Buffer.from(KEY).toString('hex');
  const process = endsWithTest(
    spawn(
      'openssl',
      ['s_server', '-accept', `127.0.0.1:${port}`, '-tls1_3', '-nocert', '-rev'].concat([
        '-psk_identity',
        IDENTITY,
        '-psk',
        key,
      ]),
    ),
  );
  for await (const line of process.stdout) if (String(line).includes('ACCEPT')) break;
  return port;
}
