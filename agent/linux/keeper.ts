/**
 * Keeps one virtual disk attached: negotiates with an imager, gives the connection to the kernel, and does so again
 * whenever the connection dies. It runs as a process of its own that never touches the disk it keeps, because
 * everything that does waits until the disk is back.
 */
import type { Connection, Host } from './host.ts';
import { negotiate } from './nbd-handshake.ts';

/** IANA's port for NBD. */
const NBD_PORT = 10809;
const CONNECT_MS = 2000;
const RETRY_MS = 100;
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
  let size: number | undefined;
  let said = '';
  /** Once attached, only the imager that has the disk counts: another one's of the same name has other content. */
  let candidates = imagers;
  for (;;) {
    for (const imager of candidates) {
      try {
        const connection = await host.connect(imager, NBD_PORT, CONNECT_MS);
        size = await attach(host, disk, connection, size);
        candidates = [imager];
        if (said !== '') host.print(`bootwright: disk ${name}: attached`);
        await host.nbdLinkDead(disk.index);
        said = 'connection lost';
        host.print(`bootwright: disk ${name}: ${said}`);
        break;
      } catch (error) {
        const text = `imager ${imager}: ${error instanceof Error ? error.message : String(error)}`;
        if (text !== said) host.print(`bootwright: disk ${name}: ${text}`);
        said = text;
      }
    }
    await host.sleep(RETRY_MS);
  }
}

/** Gives the negotiated connection to the kernel; `size` is the disk's where it was attached before. */
async function attach(
  host: Host,
  disk: KeptDisk,
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
    if (size === undefined) host.nbdAttach(connection, attachment);
    else host.nbdReattach(connection, attachment);
    return found.sizeBytes;
  } catch (error) {
    connection.close();
    throw error;
  }
}
