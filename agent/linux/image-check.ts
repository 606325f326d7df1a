/**
 * Whether an imager serves of a boot image what the cluster has signed: each file is fetched as firmware would fetch it, and
 * nothing of it kept.
 */
import type { Definition } from '../protocol/definition.ts';
import { hex } from '../protocol/hex.ts';
import type { Flash } from '../protocol/messages.ts';
import { isName } from '../protocol/names.ts';
import { fetchMs, type ServedFile } from '../protocol/signed-image.ts';
import { wordsOf } from '../protocol/words-of.ts';
import type { Host } from './host.ts';
import { type HttpRequest, httpGet } from './http-get.ts';
import type { ImagerAddress } from './imager-address.ts';
import { signedImageOf, TamperedError } from './trust.ts';

/** An imager that sends nothing for so long is gone, or in no state to boot from. */
const SILENCE_MS = 10_000;

/**
 * Fetches what the imager serves of the image and compares it; resolves with how much that was. Rejects with TamperedError where
 * something is not what was signed, else with why nobody can tell.
 */
export async function checkImage(
  host: Host,
  definition: Definition,
  flash: Flash,
  { address }: ImagerAddress,
): Promise<{ files: number; bytes: number }> {
  const { image } = flash;
  const { port, files } = signedImageOf(host, definition, flash);
  if (!isName(image)) throw new Error(`no image has such a name: ${image}`);
  const limitMs = fetchMs(files);
  const until = host.uptime() + limitMs / 1000;
  const goOn = () => {
    if (host.uptime() > until) throw new Error(`it takes longer than ${Math.round(limitMs / 1000)} s`);
  };
  const from = { address, port };
  for (const file of files) {
    const path = `/images/${image}/${file.name}`;
    try {
      await checkFile(host, { from, path, silenceMs: SILENCE_MS, goOn }, file);
    } catch (error) {
      if (error instanceof TamperedError) throw error;
      const why = wordsOf(error);
      throw new Error(`image ${image} is not verified: ${file.name}: ${why}`);
    }
  }
  return { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}

async function checkFile(host: Host, request: HttpRequest, { bytes, sha256 }: ServedFile): Promise<void> {
  const { from, path } = request;
  const digest = host.startSha256();
  await httpGet(host, request, async (answer) => {
    if (answer.length === undefined) throw new Error('answer without a length');
    if (answer.length !== bytes)
      throw new TamperedError(`${path} of ${from.address} has ${answer.length} bytes, not ${bytes}`);
    await answer.pieces(bytes, (piece) => digest.add(piece));
  });
  const found = hex(digest.end());
  if (found !== sha256)
    throw new TamperedError(`${path} of ${from.address} has sha256 ${found}, not ${sha256}`);
}
