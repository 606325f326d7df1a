/**
 * Agents on both runtimes verify an image before they flash it: files of a real boot table over a real HTTP server, with somebody
 * in between who changes what it says.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openPointerStore } from '../../agent/linux/eeprom.ts';
import { NodeHost } from '../../agent/node/host.ts';
import { imageBytes, type SignedFor } from '../../agent/protocol/signed.ts';
import type { ServedFile, SignedImage } from '../../agent/protocol/signed-image.ts';
import type { Admissions } from '../../imager/agents/admissions.ts';
import type { Written } from '../../imager/agents/flashes.ts';
import type { AgentServer } from '../../imager/agents/server.ts';
import type { ReadModel } from '../../imager/http/read-model.ts';
import { HttpServer } from '../../imager/http/server.ts';
import { servedFiles } from '../../imager/images/generated.ts';
import { BootTable } from '../../imager/images/table.ts';
import { BootTree } from '../../imager/images/tree.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import { MemoryRegistry } from '../../imager/registry/memory.ts';
import { temporarySigner } from '../../imager/signing/signer.ts';
import {
  type AgentProcess,
  buildAgentsFirst,
  RUNTIMES,
  type Runtime,
  startAgent,
  superviseWords,
} from '../support/agent-process.ts';
import { EventLog } from '../support/event-log.ts';
import { eventually } from '../support/eventually.ts';
import { asKernel } from '../support/kernels.ts';
import { listening } from '../support/listening.ts';
import { admissionsOf } from './admissions.ts';
import { startEndpoint } from './endpoint.ts';

const ADDRESS = '127.0.0.1';
const IMAGE = 'debian';
const KERNEL = asKernel('amd64', Buffer.alloc(3_000_000, 'kernel of the tests '));
const TIME = { timeout: 60_000 };

/** What is done with the answer to a request, which would have been `answer`. */
type Trick = (answer: Buffer, socket: Socket) => void;

/** Whoever is between a node and the HTTP server, and does as it likes with the answers for some files. */
class Middle {
  readonly tricks: Record<string, Trick> = {};
  port = 0;
  readonly #server: Server;

  private constructor(httpPort: number) {
    this.#server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (head) => {
        const upstream = connect(httpPort, ADDRESS, () => upstream.write(head));
        const parts: Buffer[] = [];
        upstream.on('data', (part) => parts.push(part));
        upstream.once('end', () => {
          const file = /^GET \/images\/debian\/(\S+) /.exec(String(head))?.[1] ?? '';
          const trick = this.tricks[file] ?? ((answer) => socket.end(answer));
          trick(Buffer.concat(parts), socket);
        });
      });
    });
  }

  static async start(httpPort: number): Promise<Middle> {
    const middle = new Middle(httpPort);
    middle.port = await listening(middle.#server);
    return middle;
  }

  close(): void {
    this.#server.close();
  }
}

buildAgentsFirst();

const dir = mkdtempSync(join(tmpdir(), 'image-check-'));
const kernelFile = join(dir, 'images', IMAGE, 'kernel');
let files: ServedFile[];
let http: HttpServer;
let middle: Middle;

beforeAll(async () => {
  const table = await BootTable.open(join(dir, 'images'), temporarySigner());
  writeFileSync(join(dir, 'k'), KERNEL);
  writeFileSync(join(dir, 'i'), 'an initrd');
  const added = { name: IMAGE, arch: 'amd64' as const, kernel: join(dir, 'k'), initrd: join(dir, 'i') };
  files = servedFiles(await table.add(added));
  http = await HttpServer.start({
    ...{ address: ADDRESS, port: 0, files: new BootTree(table) },
    model: { watch: () => {} } as unknown as ReadModel,
    ...{ sink: () => {}, clock: systemClock, log: pino({ level: 'silent' }) },
  });
  middle = await Middle.start(http.port);
});
afterAll(async () => {
  middle?.close();
  await http?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** An imager's endpoint for agents, and a node that was defined there. */
class Node {
  readonly told = new EventLog();
  readonly #registry = new MemoryRegistry();
  readonly #folder = mkdtempSync(join(dir, 'node-'));
  readonly pointer = join(this.#folder, 'eeprom');
  server!: AgentServer;
  admissions!: Admissions;
  #agent!: AgentProcess;
  #deployments = 0;

  static async start(runtime: Runtime): Promise<Node> {
    const node = new Node();
    onTestFinished(() => node.end());
    node.admissions = await admissionsOf(node.#registry, ['node1']);
    await node.serve(0);
    // A 24C16: no room for the definition, which the folder has then.
    writeFileSync(node.pointer, Buffer.alloc(2048, 0xff));
    node.#agent = await startAgent(runtime, [
      ...superviseWords(node.server.port, join(node.#folder, 'state'), 'serial:n1'),
      ...['--pointer', `eeprom:${node.pointer}`],
    ]);
    await node.told.seen('supervise');
    return node;
  }

  async serve(port: number): Promise<void> {
    const { admissions } = this;
    const changes = { port, admissions, heartbeatSeconds: 0.1, idleMs: 20_000 };
    this.server = await startEndpoint(this.#registry, this.told.sink, changes);
  }

  async end(): Promise<void> {
    await this.#agent.end();
    await this.server.close();
  }

  get console(): string {
    return this.#agent.output();
  }

  /** For whom files are signed. */
  get me(): SignedFor {
    return { cluster: this.admissions.definitions.cluster.id, node: 'node1' };
  }

  /** What the last flash was for. */
  get target(): { image: string; deployment: string } {
    return { image: IMAGE, deployment: `d${this.#deployments}` };
  }

  /** `change`: of what the imager says of the files. */
  flash(change: Change = (signed) => signed): Promise<Written> {
    this.#deployments++;
    const sealed = this.admissions.sealImage('node1', this.target, files)!;
    const signed = change({ port: middle.port, ...sealed }, this);
    const where = { disks: ['d'], imagers: [ADDRESS], cluster: 'demo' };
    return this.server.flash('node1', { ...this.target, ...where, ...(signed && { signed }) });
  }

  /** Why a flash comes to nothing. */
  refusal(change?: Change): Promise<string> {
    return this.flash(change).then(
      () => 'flashed',
      (error: Error) => error.message,
    );
  }
}

/** With another byte in the place of the one at `at`. */
function changed(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
}

/** How much of something without an end was taken. */
let taken = 0;

function endless(head: string): Trick {
  return (_, socket) => {
    const piece = Buffer.alloc(64 * 1024, 'x');
    const more = () => {
      while (!socket.destroyed && socket.write(piece)) taken += piece.length;
    };
    socket.write(head);
    socket.on('drain', more);
    more();
  };
}

/** Sends the initrd but for its last byte, which `go` sends. Resolves when a node waits for that. */
function stalled(): { half: Promise<void>; go: () => void } {
  const stall = { half: Promise.resolve(), go: () => {} };
  stall.half = new Promise((resolve) => {
    middle.tricks.initrd = (answer, socket) => {
      delete middle.tricks.initrd;
      socket.write(answer.subarray(0, -1));
      stall.go = () => socket.end(answer.subarray(-1));
      resolve();
    };
  });
  return stall;
}

const NOT_SIGNED_SO = /^tampered: the files of image debian are not what demo signed for node1$/;
type Change = (signed: SignedImage, node: Node) => SignedImage | undefined;
/** What an imager may say of the files that its cluster has not signed. */
const SAID: Record<string, [Change, RegExp]> = {
  'nothing is signed': [() => undefined, /^tampered: the files of image debian are not signed$/],
  'it is signed with another key': [
    (signed, { me, target }) => {
      const bytes = imageBytes(me, target, signed.files);
      return { ...signed, signature: temporarySigner().sign(bytes) };
    },
    NOT_SIGNED_SO,
  ],
  'it is signed for another deployment': [
    (signed, { admissions, target }) => ({
      ...signed,
      ...admissions.sealImage('node1', { ...target, deployment: 'another' }, files),
    }),
    NOT_SIGNED_SO,
  ],
  'a digest is another': [
    (signed) => ({
      ...signed,
      files: signed.files.map((file) => ({ ...file, sha256: '0'.repeat(64) })),
    }),
    NOT_SIGNED_SO,
  ],
  'a file is left out': [(signed) => ({ ...signed, files: signed.files.slice(1) }), NOT_SIGNED_SO],
  'nobody serves them': [
    (signed) => ({ ...signed, port: 1 }),
    /^image debian is not verified: kernel: .*refused/i,
  ],
};

/** What somebody in between may answer for the kernel. */
const ANSWERED: Record<string, [Trick, RegExp]> = {
  'a byte is another': [
    (answer, socket) => socket.end(changed(answer, 2_000_000)),
    /^tampered: \/images\/debian\/kernel of 127.0.0.1 has sha256 [0-9a-f]{64}, not [0-9a-f]{64}$/,
  ],
  'it is shorter': [
    (_, socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort'),
    /^tampered: \/images\/debian\/kernel of 127.0.0.1 has 5 bytes, not 3000000$/,
  ],
  'it is cut off': [
    (answer, socket) => socket.end(answer.subarray(0, 1_000_000)),
    /^image debian is not verified: kernel: answer is cut off$/,
  ],
  'it is longer than it says': [
    (answer, socket) => socket.end(Buffer.concat([answer, Buffer.alloc(200_000)])),
    /kernel: answer is longer than it said$/,
  ],
  'it is huge': [
    endless('HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n'),
    /^tampered: .* has 999999999999 bytes, not 3000000$/,
  ],
  'it has no end': [endless('HTTP/1.1 200 OK\r\n\r\n'), /kernel: answer without a length$/],
  'its head has no end': [endless('HTTP/1.1 200 OK\r\nx: '), /kernel: answer without an end of its head$/],
  'it is elsewhere': [
    (_, socket) => socket.end('HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n'),
    /kernel: HTTP\/1.1 302 Found$/,
  ],
  'there is none': [(_, socket) => void socket.end(), /kernel: answer is cut off$/],
};

describe.each(RUNTIMES)('the agent on %s', (runtime) => {
  test('flashes an image whose files are those that its cluster signed, and no other', TIME, async () => {
    const node = await Node.start(runtime);
    expect(await node.flash()).toMatchObject({ pointer: { image: IMAGE, deployment: 'd1', sequence: 1 } });
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    expect(node.console).toMatch(
      new RegExp(
        `^bootwright: image debian verified: 4 served files of ${bytes} bytes in \\d+\\.\\d{3} s$`,
        'm',
      ),
    );
    const written = readFileSync(node.pointer);
    for (const [what, [change, why]] of Object.entries(SAID))
      expect([what, await node.refusal(change)]).toEqual([what, expect.stringMatching(why)]);
    expect(readFileSync(node.pointer)).toEqual(written);
  });

  test('tells the pointer before, also where somebody set that beside it', TIME, async () => {
    const node = await Node.start(runtime);
    const { pointer } = await node.flash();
    const store = openPointerStore(new NodeHost(), 'eeprom', node.pointer);
    const set = store.write({ ...pointer, image: 'set-there', deployment: 'd9' });
    expect(await node.flash()).toMatchObject({ old: set, pointer: { deployment: 'd2' } });
  });

  test('does not get an image that was changed on the disk of the imager since', TIME, async () => {
    const node = await Node.start(runtime);
    const written = readFileSync(node.pointer);
    writeFileSync(kernelFile, changed(KERNEL, 2_900_000));
    expect(await node.refusal()).toMatch(/^image debian is not verified: kernel: HTTP\/1.1 500 /);
    writeFileSync(kernelFile, KERNEL.subarray(1));
    expect(await node.refusal()).toMatch(/^image debian is not verified: kernel: HTTP\/1.1 500 /);
    writeFileSync(kernelFile, KERNEL);
    expect(readFileSync(node.pointer)).toEqual(written);
    expect(await node.flash()).toMatchObject({ pointer: { image: IMAGE } });
  });

  test('refuses a kernel that somebody in between has changed, and tells; its link stays', TIME, async () => {
    const node = await Node.start(runtime);
    const written = readFileSync(node.pointer);
    for (const [what, [trick, why]] of Object.entries(ANSWERED)) {
      [middle.tricks.kernel, taken] = [trick, 0];
      expect([what, await node.refusal()]).toEqual([what, expect.stringMatching(why)]);
      // No more than sockets take by themselves.
      expect(taken).toBeLessThan(20_000_000);
    }
    delete middle.tricks.kernel;
    const told = await node.told.seen('tampered');
    expect(told).toMatchObject({ component: 'agent', node: 'node1', detail: { image: IMAGE } });
    expect(told.detail?.why).toMatch(/^tampered: \/images\/debian\/kernel /);
    expect(readFileSync(node.pointer)).toEqual(written);
    expect(node.told.events.filter(({ step }) => step === 'disconnect')).toEqual([]);
    expect(await node.flash()).toMatchObject({ pointer: { image: IMAGE } });
  });

  test('goes on with all else while it verifies, and with no other flash', TIME, async () => {
    const node = await Node.start(runtime);
    const stall = stalled();
    const flash = node.flash();
    await stall.half;
    const beats = () => node.server.stats()['received.heartbeat'] ?? 0;
    const heard = beats();
    await eventually(() => expect(beats()).toBeGreaterThan(heard + 2));
    expect(await node.refusal()).toBe('node1 is being flashed already');
    stall.go();
    expect(await flash).toMatchObject({ pointer: { deployment: 'd1', sequence: 1 } });
  });

  test('writes nothing for an imager that has gone meanwhile; the next one flashes it', TIME, async () => {
    const node = await Node.start(runtime);
    const [written, { port }] = [readFileSync(node.pointer), node.server];
    const stall = stalled();
    const lost = expect(node.flash()).rejects.toMatchObject({ reason: 'disconnected' });
    await stall.half;
    await node.server.close();
    await lost;
    await node.serve(port);
    await node.told.seen('hello', 2);
    expect(readFileSync(node.pointer)).toEqual(written);
    // The one before it still waits for its last byte.
    expect(await node.flash()).toMatchObject({ pointer: { deployment: 'd2', sequence: 1 } });
    stall.go();
    expect(await node.flash()).toMatchObject({ pointer: { deployment: 'd3', sequence: 2 } });
  });
});
