/** What a boot image is, file by file, so that a node can tell before it flashes whether its firmware would get that. */
import * as z from 'zod/mini';
import { signature, uint } from './fields.ts';
import { lazily } from './lazily.ts';
import { isName } from './names.ts';

const servedFile = lazily(() =>
  z.object({
    /** Served as `images/IMAGE/NAME`. */
    name: z.string().check(z.refine(isName, { error: 'no file name' })),
    bytes: uint(),
    /** SHA-256 of the content, in hexadecimal. */
    sha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  }),
);

export const signedImage = lazily(() =>
  z.object({
    /** TCP port on which the imager that sends this serves files over HTTP. Not signed: where they come from proves nothing. */
    port: uint(),
    /** All that firmware of any kind loads of the image. */
    files: z.array(servedFile()).check(z.minLength(1), z.maxLength(16)),
    /** Over imageBytes() (signed.ts). */
    signature: signature(),
  }),
);

export type ServedFile = z.infer<ReturnType<typeof servedFile>>;
export type SignedImage = z.infer<ReturnType<typeof signedImage>>;

/** An imager that many nodes fetch from at once gives each of them this much a second, or the node gives up. */
const SLOWEST_BYTES = 64 * 1024;
const AT_LEAST_MS = 10_000;

/** How long a node may take to fetch all of `files`, in milliseconds: the imager waits as long for its answer. */
export function fetchMs(files: readonly ServedFile[]): number {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return AT_LEAST_MS + (bytes / SLOWEST_BYTES) * 1000;
}
