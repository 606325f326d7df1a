/**
 * Keeps one virtual disk attached: negotiates with an imager, gives the connection to the kernel, and does so again
 * whenever the connection dies. It runs as a process of its own that never touches the disk it keeps, because
 * everything that does waits until the disk is back.
 */
import { diskRetryDelay } from '../core/backoff.ts';
import { wordsOf } from '../protocol/words-of.ts';
import type { Connection, Host, NbdAttachment } from './host.ts';
import { negotiate } from './nbd-handshake.ts';
import { fetchPack } from './pack.ts';

/** IANA's port for NBD. */
export const NBD_PORT = 10809;
const CONNECT_MS = 2000;
/** A connection that is over sooner, and sooner than the search for it was, is no sign that all is well again. */
const STEADY_SECONDS = 5;
/** Requests wait this long for an imager to come back before they fail: a day. */
const DEAD_TIMEOUT_SECONDS = 86_400;

export interface KeptDisk {
  index: number;
  name: string;
  imagers: readonly string[];
}

/** Arguments for the agent's executable that make it the keeper of `disk`. */
export function keeperArguments({ index, name, imagers }: KeptDisk): string[] {
  return ['keeper', String(index), name, ...imagers];
}

/** Never ends. `args` are those of keeperArguments() without the first. */
export async function keepDisk(host: Host, args: readonly string[]): Promise<never> {
  const [index = '0', name = '', ...imagers] = args;
  const disk: KeptDisk = { index: Number(index), name, imagers };
  try {
    host.becomeIoFlusher();
  } catch (error) {
    // A node without it is still better off with its disk.
    host.print(`bootwright: disk ${name}: its keeper may suffer where memory is short: ${wordsOf(error)}`);
  }
  let size: number | undefined;
  let said = '';
  /** Uptime since which it is looked for. */
  let lost = host.uptime();
  /** Once attached, only the imager that has the disk counts: another one's of the same name has other content. */
  let candidates = imagers;
  for (;;) {
    for (const imager of candidates) {
      try {
        const connection = await host.connect(imager, NBD_PORT, CONNECT_MS);
        size = await attach(host, disk, imager, connection, size);
        candidates = [imager];
        if (said !== '') host.print(`bootwright: disk ${name}: attached`);
        const back = host.uptime();
        await host.nbdLinkDead(disk.index);
        if (host.uptime() - back > Math.min(STEADY_SECONDS, back - lost)) lost = host.uptime();
        said = 'connection lost';
        host.print(`bootwright: disk ${name}: ${said}`);
        break;
      } catch (error) {
        const text = `imager ${imager}: ${wordsOf(error)}`;
        if (text !== said) host.print(`bootwright: disk ${name}: ${text}`);
        said = text;
      }
    }
    await host.sleep(diskRetryDelay((host.uptime() - lost) * 1000, host.random()));
  }
}

/** Gives the negotiated connection to the kernel; `size` is the disk's where it was attached before. */
async function attach(
  host: Host,
  disk: KeptDisk,
  imager: string,
  connection: Connection,
  size: number | undefined,
): Promise<number> {
  try {
    const found = await negotiate(connection, disk.name);
    // It may have grown; one that has shrunk is another, or would cut off what is on it.
    if (size !== undefined && found.sizeBytes < size)
      throw new Error(`the disk has ${found.sizeBytes} bytes now, it had ${size}`);
    const attachment = {
      index: disk.index,
      sizeBytes: found.sizeBytes,
      blockSize: Math.min(found.blockSize, 4096),
      flags: found.flags,
      deadTimeoutSeconds: DEAD_TIMEOUT_SECONDS,
    };
    if (size !== undefined) host.nbdReattach(connection, attachment);
    else if (!(await attachPacked(host, disk, { imager, connection, attachment })))
      host.nbdAttach(connection, attachment);
    return found.sizeBytes;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/**
 * Attaches the disk with its pack. The pack is asked for while the disk is attached to nobody but this connection, so
 * that nothing changes its content meanwhile. False, with the connection as it was, where there is none to be had:
 * that is no fault, and no reason to boot any slower.
 */
async function attachPacked(
  host: Host,
  { name }: KeptDisk,
  to: { imager: string; connection: Connection; attachment: NbdAttachment },
): Promise<boolean> {
  let why: string | undefined;
  try {
    const bytes = await fetchPack(host, to.imager, name);
    if (bytes === undefined) return false;
    why = host.nbdAttachPacked(to.connection, to.attachment, { name, bytes });
    if (why === undefined) host.print(`bootwright: disk ${name}: a pack of ${bytes.length} bytes`);
  } catch (error) {
    why = wordsOf(error);
  }
  if (why !== undefined) host.print(`bootwright: disk ${name}: no pack: ${why}`);
  return why === undefined;
}
