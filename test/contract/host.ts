/**
 * What every Host does, whatever it runs on. One program (runHostContract) is handed to each runtime with a folder
 * of its own and a peer to talk to, and gives back what it saw; the tests compare that with what must be.
 */
import { type Host, HostError } from '../../agent/linux/host.ts';
import { echoed } from './echoed.ts';

/** What a host did, by name, as plain values: both runtimes print it as JSON. */
export type Seen = Record<string, unknown>;

/**
 * Exercises `host` in the empty folder `folder`. `echoPort` on 127.0.0.1 sends everything back and closes when the
 * client's side says `bye`; nobody listens on `closedPort`.
 */
export async function runHostContract(
  host: Host,
  folder: string,
  echoPort: number,
  closedPort: number,
): Promise<Seen> {
  return {
    ...files(host, folder),
    ...(await devices(host, folder)),
    ...stored(host, folder),
    ...(await variables(host, folder)),
    ...(await network(host, echoPort, closedPort)),
    ...(await locks(host, folder)),
    ...(await programs(host, folder)),
    ...(await time(host)),
    ...(await aside(host, folder)),
  };
}

/** More than a socket buffers, so that a write has to wait. */
const SENT = 9_000_000;

/** What runHostContract must have seen. */
export const EXPECTED: Seen = {
  readBack: 'second',
  asideWhole: true,
  asideTurned: true,
  asideLeft: false,
  asideMode: 0o600,
  asideInMissing: 'ENOENT',
  dice: true,
  modeOfReplaced: 0o600,
  modeMissing: 'ENOENT',
  idByAnotherName: true,
  idOfAnother: false,
  idMissing: 'ENOENT',
  leftBeside: ['a', 'file'],
  readMissing: 'ENOENT',
  listMissing: 'ENOENT',
  listFile: 'ENOTDIR',
  replaceInMissing: 'ENOENT',
  removeFull: 'ENOTEMPTY',
  lockedByAnother: [1, true],
  lockedAgain: true,
  lockFreed: 0,
  lockOfFolder: 1,
  lockInMissing: 'ENOENT',
  directoryTwice: true,
  directoryOverFile: 'EEXIST',
  procIsWhole: true,
  existsNothing: false,
  transacted: 'asked',
  transactMissing: 'ENOENT',
  linkSays: '../elsewhere/x',
  linkOfFile: 'EINVAL',
  ownProperty: [true, false],
  loneSurrogate: [97, 0xef, 0xbf, 0xbd, 98],
  pair: [0xf0, 0x9f, 0x98, 0x80],
  byteOrderMark: ['x', 1],
  storedRange: [97, 98, 99, 100],
  storedAcrossBlocks: 5000,
  storedPastEnd: 2,
  storedBeyond: 0,
  storedInPlace: 'xxYYxx',
  storeMissing: 'ENOENT',
  procStored: true,
  variableMade: '\x07\0\0\0made',
  variableReplaced: '\x07\0\0\0',
  immutableKept: 'EPERM',
  variableInMissing: 'ENOENT',
  echoed: 9_000_000,
  echoIntact: true,
  endOfStream: 'undefined',
  filled: 100_005,
  filledIntact: true,
  filledToEnd: 3,
  filledInSilence: 0,
  writeAfterClose: true,
  refused: 'ECONNREFUSED',
  badAddress: true,
  askedAll: 'EACCES',
  exitCode: [7, 'out\nerr\n', false],
  killed: [137, '', true],
  killedGroup: true,
  signalled: 143,
  environment: 'value from parent',
  huge: [65_536, 'the end\n'],
  notUtf8: 'a\ufffdb',
  notThere: 'ENOENT',
  notExecutable: 'EACCES',
  leavesDaemon: [0, 'started\n'],
  tenAtOnce: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  slept: true,
  uptimeCounts: true,
};

function files(host: Host, folder: string): Seen {
  const path = `${folder}/file`;
  host.replaceFile(path, bytes('first'), 0o644);
  // Left by a power cut between write and rename, with another mode.
  host.replaceFile(`${path}.new`, bytes('torn'), 0o644);
  host.replaceFile(path, bytes('second'), 0o600);
  host.makeDirectory(`${folder}/a/b/c`);
  host.syncDirectory(`${folder}/a/b`);
  host.replaceFile(`${folder}/gone`, bytes('x'));
  host.remove(`${folder}/gone`);
  host.makeDirectory(`${folder}/gone/empty`);
  const removeFull = code(() => host.remove(`${folder}/gone`));
  host.remove(`${folder}/gone/empty`);
  host.remove(`${folder}/gone`);
  host.remove(`${folder}/gone`);
  return {
    removeFull,
    readBack: text(host.readFile(path)),
    modeOfReplaced: host.mode(path),
    modeMissing: code(() => host.mode(`${folder}/none`)),
    idByAnotherName: host.fileId(`${folder}/a/../file`) === host.fileId(path),
    idOfAnother: host.fileId(`${folder}/a`) === host.fileId(path),
    idMissing: code(() => host.fileId(`${folder}/none`)),
    leftBeside: host.list(folder),
    readMissing: code(() => host.readFile(`${folder}/none`)),
    listMissing: code(() => host.list(`${folder}/none`)),
    listFile: code(() => host.list(path)),
    replaceInMissing: code(() => host.replaceFile(`${folder}/none/file`, bytes('x'))),
    directoryTwice: code(() => host.makeDirectory(`${folder}/a/b/c`)) === '',
    directoryOverFile: code(() => host.makeDirectory(path)),
    procIsWhole: text(host.readFile('/proc/self/status')).includes('VmRSS'),
    existsNothing: host.exists(`${folder}/none`),
    // The globals the protocol's codec stands on.
    ownProperty: [Object.hasOwn({ a: 1 }, 'a'), Object.hasOwn({ a: 1 }, 'toString')],
    loneSurrogate: [...bytes('a\ud800b')],
    pair: [...bytes('\ud83d\ude00')],
    byteOrderMark: [text(bytes('\ufeffx')), text(bytes('\ufffe')).length],
  };
}

/** A named pipe answers what it was asked: it is the device at hand that takes one write and gives one read. */
async function devices(host: Host, folder: string): Promise<Seen> {
  const make = (argv: string[]) => host.run(argv, { timeoutMs: 5000 });
  await make(['mkfifo', `${folder}/device`]);
  await make(['ln', '-s', '../elsewhere/x', `${folder}/link`]);
  return {
    transacted: text(host.transact(`${folder}/device`, bytes('asked'))),
    transactMissing: code(() => host.transact(`${folder}/none`, bytes('x'))),
    linkSays: host.readLink(`${folder}/link`),
    linkOfFile: code(() => host.readLink(`${folder}/file`)),
  };
}

function stored(host: Host, folder: string): Seen {
  const path = `${folder}/chip`;
  host.replaceFile(path, bytes('a'.repeat(4094) + 'abcd'.repeat(2000)));
  const inPlace = `${folder}/in-place`;
  host.replaceFile(inPlace, bytes('xxxxxx'));
  host.writeStored(inPlace, 2, bytes('YY'));
  return {
    storedRange: [...host.readStored(path, 4094, 4)],
    storedAcrossBlocks: host.readStored(path, 100, 5000).length,
    storedPastEnd: host.readStored(path, 4094 + 7998, 100).length,
    storedBeyond: host.readStored(path, 1_000_000, 10).length,
    storedInPlace: text(host.readStored(inPlace, 0, 6)),
    storeMissing: code(() => host.writeStored(`${folder}/none`, 0, bytes('x'))),
    // No direct I/O on these: the way of EEPROM files in sysfs.
    procStored: host.readStored('/proc/version', 0, 5).length === 5,
  };
}

async function filling(host: Host, echoPort: number): Promise<Seen> {
  const connection = await host.connect('127.0.0.1', echoPort, 5000);
  const sent = pattern(100_000);
  await connection.write(sent);
  const target = new Uint8Array(100_005);
  const filled = await host.receive(connection, target, 5, 5000);
  await connection.write(bytes('bye'));
  const toEnd = await host.receive(connection, new Uint8Array(10), 0, 5000);
  connection.close();
  const silent = await host.connect('127.0.0.1', echoPort, 5000);
  const inSilence = await host.receive(silent, new Uint8Array(1), 0, 20);
  silent.close();
  return {
    filled,
    filledIntact: same(target.subarray(5), sent),
    filledToEnd: toEnd,
    filledInSilence: inSilence,
  };
}

async function variables(host: Host, folder: string): Promise<Seen> {
  const path = `${folder}/Name-guid`;
  const read = () => text(host.readFile(path));
  host.writeVariable(path, bytes('\x07\0\0\0made'));
  const variableMade = read();
  // What the kernel does to most variables; not every file system knows the flag.
  const flag = (change: string) => host.run(['chattr', change, path], { timeoutMs: 5000 });
  const { code: unknown } = await flag('+i');
  host.writeVariable(path, bytes('\x07\0\0\0'));
  const immutableKept = unknown !== 0 ? 'EPERM' : code(() => host.writeStored(path, 0, bytes('x')));
  if (unknown === 0) await flag('-i');
  return {
    variableMade,
    variableReplaced: read(),
    immutableKept,
    variableInMissing: code(() => host.writeVariable(`${folder}/none/Name-guid`, bytes('x'))),
  };
}

async function network(host: Host, echoPort: number, closedPort: number): Promise<Seen> {
  const connection = await host.connect('127.0.0.1', echoPort, 5000);
  const sent = pattern(SENT);
  const { received, length, end } = await echoed(connection, sent, 1_000_000);
  return {
    echoed: length,
    echoIntact: same(received, sent),
    endOfStream: end,
    ...(await filling(host, echoPort)),
    writeAfterClose: (await codeOf(connection.write(bytes('x')))) !== '',
    refused: await codeOf(host.connect('127.0.0.1', closedPort, 5000)),
    badAddress: (await codeOf(host.connect('300.1.1.1', echoPort, 1000))) !== '',
    // Fails where a route that is not there would fail: when the socket is connected.
    askedAll: await codeOf(host.ask('lo', '255.255.255.255', 9, bytes('x'), 5000)),
  };
}

async function programs(host: Host, folder: string): Promise<Seen> {
  const shell = async (script: string, timeoutMs = 20_000, env: Record<string, string> = {}) => {
    const { code, output, timedOut } = await host.run(['/bin/sh', '-c', script], { timeoutMs, env });
    return [code, output, timedOut] as const;
  };
  const killed = await shell(
    'sleep 1000 & echo $! > "$0.pid"; wait'.replaceAll('$0', `${folder}/child`),
    200,
  );
  const child = text(host.readFile(`${folder}/child.pid`)).trim();
  while (runs(host, child)) await host.sleep(5);
  const huge = await shell('yes 0123456789 | head -c 3000000; echo the end');
  const daemon = await shell(
    '(sleep 1; echo late; touch "$0") & echo started'.replace('$0', `${folder}/late`),
  );
  const many = Array.from({ length: 10 }, (_, n) => shell(`exit ${n}`));
  host.replaceFile(`${folder}/plain`, bytes('x'));
  return {
    exitCode: await shell('echo out; sleep 0.05; echo err >&2; exit 7'),
    killed,
    killedGroup: !runs(host, child),
    signalled: (await shell('kill -TERM $$'))[0],
    environment: (
      await shell('printf "$A from "; test -n "$PATH" && printf parent', 20_000, { A: 'value' })
    )[1],
    huge: [huge[1].length, huge[1].slice(-8)],
    notUtf8: (await shell("printf 'a\\377b'"))[1],
    notThere: await codeOf(host.run([`${folder}/none`], { timeoutMs: 1000 })),
    notExecutable: await codeOf(host.run([`${folder}/plain`], { timeoutMs: 1000 })),
    leavesDaemon: [daemon[0], daemon[1]],
    tenAtOnce: (await Promise.all(many)).map(([exit]) => exit),
  };
}

/** Files replaced while the process goes on. */
async function aside(host: Host, folder: string): Promise<Seen> {
  const path = `${folder}/aside`;
  // Left by a power cut between write and rename, with another mode.
  host.replaceFile(`${path}.new`, bytes('left'), 0o666);
  await host.replaceFileAside(path, bytes('first'));
  let turned = false;
  const written = host.replaceFileAside(path, new Uint8Array(8_000_000).fill(7));
  void host.sleep(0).then(() => {
    turned = true;
  });
  await host.sleep(1);
  await written;
  const dice = Array.from({ length: 1000 }, () => host.random());
  return {
    asideWhole: host.readFile(path).every((byte) => byte === 7),
    asideTurned: turned,
    asideLeft: host.exists(`${path}.new`),
    asideMode: host.mode(path),
    asideInMissing: await codeOf(host.replaceFileAside(`${folder}/none/file`, bytes('x'))),
    dice: dice.every((each) => each >= 0 && each < 1) && new Set(dice).size === 1000,
  };
}

async function locks(host: Host, folder: string): Promise<Seen> {
  const path = `${folder}/lock`;
  const another = async (at = path) =>
    (await host.run(['flock', '-n', at, 'true'], { timeoutMs: 20_000 })).code;
  const release = host.lock(path);
  const [refused, free] = [await another(), release !== undefined];
  // Its own process too: the lock is the open file's.
  const lockedAgain = host.lock(path) === undefined;
  release?.();
  const ofFolder = host.lock(folder);
  const lockOfFolder = await another(folder);
  ofFolder?.();
  return {
    lockedByAnother: [refused, free],
    lockedAgain,
    lockOfFolder,
    lockFreed: await another(),
    lockInMissing: code(() => host.lock(`${folder}/none/lock`)),
  };
}

async function time(host: Host): Promise<Seen> {
  const before = host.uptime();
  await host.sleep(50);
  const passed = host.uptime() - before;
  return { slept: passed >= 0.04 && passed < 5, uptimeCounts: before > 0 };
}

/** Bytes that repeat after 251, filled by copying: QuickJS has no fast loop. */
function pattern(length: number): Uint8Array {
  const all = new Uint8Array(length);
  for (let at = 0; at < 251; at++) all[at] = (at * 7) % 251;
  for (let done = 251; done < length; done *= 2)
    all.set(all.subarray(0, Math.min(done, length - done)), done);
  return all;
}

/** Compares every 101st byte: a byte too many or too few shifts all that follow. */
function same(one: Uint8Array, other: Uint8Array): boolean {
  for (let at = 0; at < other.length; at += 101) if (one[at] !== other[at]) return false;
  return one.length === other.length;
}

/** True while the process is there and no zombie. */
function runs(host: Host, pid: string): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(text(host.readFile(`/proc/${pid}/stat`)));
  } catch {
    return false;
  }
}

function code(call: () => unknown): string {
  try {
    call();
    return '';
  } catch (error) {
    return error instanceof HostError ? error.code : `not a HostError: ${String(error)}`;
  }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return '';
  } catch (error) {
    return error instanceof HostError ? error.code : `not a HostError: ${String(error)}`;
  }
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: Uint8Array): string {
  return new TextDecoder().decode(value);
}
