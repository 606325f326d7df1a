/** The NBD client handshake: golden bytes of the NBD protocol document, hostile servers, and real ones. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { Connection } from '../../../agent/linux/host.ts';
import {
  encodeClientFlags,
  encodeExportName,
  encodeGo,
  NbdHandshakeError,
  negotiate,
  parseExportReply,
  parseGreeting,
  parseInfo,
  parseReplyHeader,
} from '../../../agent/linux/nbd-handshake.ts';
import { connect } from '../../../agent/node/connection.ts';
import { closedPort } from './echo.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
const text = (value: string): string => Buffer.from(value).toString('hex');
/** "NBDMAGIC", "IHAVEOPT" */
const MAGIC = '4e42444d41474943 49484156454f5054';
const REPLY = '0003e889045565a9';
/** NBD_REP_INFO, 12 bytes: NBD_INFO_EXPORT, 16 MiB, flags HAS_FLAGS | SEND_FLUSH | SEND_FUA */
const INFO_EXPORT = `${REPLY} 00000007 00000003 0000000c 0000 0000000001000000 000d`;
/** NBD_REP_INFO, 14 bytes: NBD_INFO_BLOCK_SIZE, minimum 1, preferred 4096, maximum 32 MiB */
const INFO_BLOCKS = `${REPLY} 00000007 00000003 0000000e 0003 00000001 00001000 02000000`;
const ACK = `${REPLY} 00000007 00000001 00000000`;
const FOUND = {
  sizeBytes: 16 * 1024 * 1024,
  flags: 0x0d,
  blockSize: 4096,
  minimumBlockSize: 1,
  maximumBlockSize: 32 * 1024 * 1024,
};

describe('messages', () => {
  test('greeting', () => {
    expect(parseGreeting(hex(`${MAGIC} 0003`))).toEqual({ fixed: true, noZeroes: true });
    expect(parseGreeting(hex(`${MAGIC} 0001`))).toEqual({ fixed: true, noZeroes: false });
    expect(() => parseGreeting(hex('4e42444d41474943 0000420281861253 0000'))).toThrow('oldstyle');
    expect(() => parseGreeting(hex(MAGIC))).toThrow('16 bytes, not 18');
    expect(() => parseGreeting(new TextEncoder().encode('HTTP/1.1 400 Bad R'))).toThrow('not an NBD server');
  });

  test('client flags repeat what the server offered', () => {
    expect(encodeClientFlags({ fixed: true, noZeroes: true })).toEqual(hex('00000003'));
    expect(encodeClientFlags({ fixed: true, noZeroes: false })).toEqual(hex('00000001'));
    expect(encodeClientFlags({ fixed: false, noZeroes: false })).toEqual(hex('00000000'));
  });

  test('NBD_OPT_GO and NBD_OPT_EXPORT_NAME', () => {
    expect(encodeGo('disk-a')).toEqual(
      Uint8Array.from([
        ...hex('49484156454f5054'), // IHAVEOPT
        ...hex('00000007'), // NBD_OPT_GO
        ...hex('0000000e'), // 14 bytes follow
        ...hex('00000006'), // length of the name
        ...hex(text('disk-a')),
        ...hex('0001'), // one information request:
        ...hex('0003'), // NBD_INFO_BLOCK_SIZE
      ]),
    );
    expect(encodeExportName('a')).toEqual(hex(`49484156454f5054 00000001 00000001 ${text('a')}`));
    expect(() => encodeGo('n'.repeat(5000))).toThrow(NbdHandshakeError);
  });

  test('replies', () => {
    const header = (data: string) => parseReplyHeader(hex(data), 7);
    expect(header(ACK)).toEqual({ type: 1, length: 0 });
    expect(() => header(`0003e889045565aa 00000007 00000001 00000000`)).toThrow('magic');
    expect(() => header(`${REPLY} 00000006 00000001 00000000`)).toThrow('option 6');
    expect(() => header(`${REPLY} 00000007 00000003 ffffffff`)).toThrow('4294967295');
    expect(parseInfo(hex('0000 0000000001000000 000d'))).toEqual({ sizeBytes: 16_777_216, flags: 13 });
    expect(parseInfo(hex('0003 00000200 00001000 ffffffff'))).toEqual({
      minimumBlockSize: 512,
      blockSize: 4096,
      maximumBlockSize: 0xffffffff,
    });
    expect(parseInfo(hex(`0001 ${text('name')}`))).toEqual({});
    for (const sizes of [
      '00000003 00001000 02000000',
      '00000001 00001001 02000000',
      '00000001 00001000 00000800',
    ])
      expect(() => parseInfo(hex(`0003 ${sizes}`))).toThrow('make no sense');
    expect(() => parseInfo(hex('0000 00000001'))).toThrow('12');
    expect(() => parseInfo(hex('00'))).toThrow('at least 2');
    expect(() => parseInfo(hex('0000 ffffffffffffffff 0001'))).toThrow('18446744073709551615');
    expect(parseExportReply(hex('0000000001000000 000d'))).toEqual(FOUND);
  });
});

/** A connection that plays a server: what it says, in chunks of `size` bytes, then the end. */
function scripted(said: Uint8Array, size = 7): Connection & { sent: Uint8Array[] } {
  const sent: Uint8Array[] = [];
  let at = 0;
  return {
    sent,
    write: async (bytes) => void sent.push(bytes),
    read: async () => {
      const chunk = said.subarray(at, at + size);
      at += chunk.length;
      return chunk.length > 0 ? chunk : undefined;
    },
    close: () => undefined,
  };
}

describe('conversation', () => {
  const talk = (said: string) => negotiate(scripted(hex(said)), 'disk');

  test('NBD_OPT_GO, whatever the pieces it comes in', async () => {
    for (let size = 1; size < 100; size += 9) {
      const server = scripted(hex(`${MAGIC} 0003 ${INFO_EXPORT} ${INFO_BLOCKS} ${ACK}`), size);
      expect(await negotiate(server, 'disk')).toEqual(FOUND);
      expect(server.sent).toEqual([hex('00000003'), encodeGo('disk')]);
    }
  });

  test('a server that does not know it is asked by NBD_OPT_EXPORT_NAME, with and without zeroes', async () => {
    const unknown = `${REPLY} 00000007 80000001 00000000`;
    const server = scripted(hex(`${MAGIC} 0003 ${unknown} 0000000001000000 000d`));
    expect(await negotiate(server, 'disk')).toEqual(FOUND);
    expect(server.sent.at(-1)).toEqual(encodeExportName('disk'));
    expect(await talk(`${MAGIC} 0001 ${unknown} 0000000001000000 000d ${'00'.repeat(124)}`)).toEqual(FOUND);
    expect(await talk(`${MAGIC} 0000 0000000001000000 000d ${'00'.repeat(124)}`)).toEqual(FOUND);
  });

  test('refusals carry the words of the server, safe to print', async () => {
    const words = text('no disk\u001b[2J here\n');
    const length = (words.length / 2).toString(16).padStart(8, '0');
    await expect(talk(`${MAGIC} 0003 ${REPLY} 00000007 80000006 ${length} ${words}`)).rejects.toThrow(
      'export "disk": no such export (no disk [2J here)',
    );
    await expect(talk(`${MAGIC} 0003 ${REPLY} 00000007 80000005 00000000`)).rejects.toThrow('TLS required');
  });

  test.each([
    ['hangs up at once', '', 'hung up'],
    ['hangs up on a name', `${MAGIC} 0002`, 'export "disk" refused'],
    ['agrees without a size', `${MAGIC} 0003 ${ACK}`, 'without telling the size'],
    ['goes on talking', `${MAGIC} 0003 ${INFO_EXPORT} ${ACK} 00`, '1 bytes after the end'],
    ['sends a reply of no known type', `${MAGIC} 0003 ${REPLY} 00000007 00000009 00000000`, 'unknown type 9'],
    ['sets no flags', `${MAGIC} 0003 ${INFO_EXPORT.replace('000d', '0000')} ${ACK}`, 'HAS_FLAGS'],
  ])('a server that %s', async (_, said, reason) => {
    const server = scripted(hex(said), 1000);
    await expect(negotiate(server, 'disk')).rejects.toThrow(reason);
  });

  test('no server makes it fail in another way', async () => {
    const good = hex(`${MAGIC} 0003 ${INFO_EXPORT} ${INFO_BLOCKS} ${ACK}`);
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        damage,
        fc.nat(good.length),
        fc.integer({ min: 1, max: 90 }),
        async (hits, cut, size) => {
          const said = good.slice(0, cut < 20 ? good.length : cut);
          for (const [at, value] of hits) if (at < said.length) said[at] = value;
          const outcome = await negotiate(scripted(said, size), 'disk').catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(NbdHandshakeError);
          else expect(outcome).toMatchObject({ sizeBytes: expect.any(Number) });
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('real servers', () => {
  const servers: ChildProcess[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'bootwright-nbd-'));
  const disk = join(folder, 'disk');
  writeFileSync(disk, Buffer.alloc(1_048_576, 'x'));
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function nbdkit(args: string[]): Promise<number> {
    const port = await closedPort();
    const server = spawn('nbdkit', ['-f', '-v', '-i', '127.0.0.1', '-p', String(port), ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    servers.push(server);
    for await (const line of createInterface({ input: server.stderr! })) if (/bound to/.test(line)) break;
    server.stderr!.resume();
    return port;
  }

  /** The first four bytes of the export by NBD_CMD_READ: shows that the transmission phase has begun. */
  async function firstBytes(connection: Connection): Promise<string> {
    await connection.write(hex('25609513 0000 0000 0000000000000001 0000000000000000 00000004'));
    let reply = Buffer.alloc(0);
    while (reply.length < 20) reply = Buffer.concat([reply, (await connection.read())!]);
    expect(reply.subarray(0, 16)).toEqual(Buffer.from(hex('67446698 00000000 0000000000000001')));
    return reply.subarray(16).toString();
  }

  test('nbdkit', async () => {
    const connection = await connect('127.0.0.1', await nbdkit(['file', disk]), 5000);
    expect(await negotiate(connection, 'any')).toMatchObject({ sizeBytes: 1_048_576, blockSize: 4096 });
    expect(await firstBytes(connection)).toBe('xxxx');
    connection.close();
  });

  test('nbdkit with block sizes of its own', async () => {
    const sizes = [
      '--filter=blocksize-policy',
      'file',
      disk,
      'blocksize-minimum=512',
      'blocksize-preferred=8192',
    ];
    const port = await nbdkit([...sizes, 'blocksize-maximum=65536']);
    const connection = await connect('127.0.0.1', port, 5000);
    expect(await negotiate(connection, '')).toMatchObject({
      blockSize: 8192,
      minimumBlockSize: 512,
      maximumBlockSize: 65_536,
    });
    connection.close();
  });

  test('nbdkit of the old days: not fixed newstyle', async () => {
    const connection = await connect('127.0.0.1', await nbdkit(['--mask-handshake=0', 'file', disk]), 5000);
    expect(await negotiate(connection, 'any')).toMatchObject({ sizeBytes: 1_048_576 });
    expect(await firstBytes(connection)).toBe('xxxx');
    connection.close();
  });

  test('qemu-nbd: found, and refused with its words', async () => {
    const port = String(await closedPort());
    const args = ['-f', 'raw', '-x', 'disk', '-b', '127.0.0.1', '-p', port, '-e', '3', '-t', disk];
    servers.push(spawn('qemu-nbd', args, { stdio: 'ignore' }));
    await listening(Number(port));
    const good = await connect('127.0.0.1', Number(port), 5000);
    expect(await negotiate(good, 'disk')).toMatchObject({ sizeBytes: 1_048_576 });
    expect(await firstBytes(good)).toBe('xxxx');
    good.close();
    const bad = await connect('127.0.0.1', Number(port), 5000);
    await expect(negotiate(bad, 'other')).rejects.toThrow(/export "other": no such export \(.*other.*\)/);
    bad.close();
  });
});

/** Resolves once something accepts connections on the port; qemu-nbd says nothing when it does. */
async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = createConnection(port, '127.0.0.1');
    const up = await new Promise<boolean>((done) => {
      socket.once('connect', () => done(true)).once('error', () => done(false));
    });
    socket.destroy();
    if (up) return;
  }
}
