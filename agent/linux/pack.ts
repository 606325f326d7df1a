/**
 * Fetches the pack of a disk: what a boot will read of it, in one piece, over HTTP from the imager that has the disk
 * (GET /packs/NAME; imager/packs/pack.ts has its bytes). A boot does without where there is none.
 */
import { hex } from '../protocol/hex.ts';
import type { Host } from './host.ts';
import { httpGet } from './http-get.ts';
import { readText } from './read-text.ts';

const HTTP_PORT = 80;
/** An imager that sends nothing for so long is not waited for. */
const SILENCE_MS = 3000;
const PACK_HEADER = 68;
/** 64 MiB of blocks, and the index to them. */
const PACK_MAX = 66 * 1024 * 1024;
/** The pack may take a quarter of the memory that is free. */
const SHARE = 4;

/** Why a pack is not used. */
export class PackRefused extends Error {}

/**
 * The bytes of the pack; undefined where there is nothing in it. Rejects with PackRefused, HttpError or HostError where it cannot
 * be had, soon enough that the boot loses little by having asked.
 */
export function fetchPack(host: Host, imager: string, disk: string): Promise<Uint8Array | undefined> {
  const from = { address: imager, port: HTTP_PORT };
  return httpGet(host, { from, path: `/packs/${disk}`, silenceMs: SILENCE_MS }, async (answer) => {
    const { length = 0, entityTag } = answer;
    if (length < PACK_HEADER) throw new PackRefused('answer without a length that a pack can have');
    if (length > Math.min(PACK_MAX, freeBytes(host) / SHARE))
      throw new PackRefused(`a pack of ${length} bytes is too large for this node`);
    const bytes = await answer.whole(length);
    checkBase(bytes, /^"([0-9a-f]{64})-/.exec(entityTag)?.[1] ?? '');
    // Nothing to read from it.
    return length === PACK_HEADER ? undefined : bytes;
  });
}

/** The imager tells which base the export is over; blocks of another one must never get into the disk. */
function checkBase(bytes: Uint8Array, base: string): void {
  if (hex(bytes.subarray(24, 56)) !== base) throw new PackRefused('the pack is of another base image');
}

function freeBytes(host: Host): number {
  const text = readText(host, '/proc/meminfo');
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
