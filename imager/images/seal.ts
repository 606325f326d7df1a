/**
 * The text of an image.json, with the signature of the cluster that the image was added to: `signature`, in hexadecimal, over the
 * canonical form (agent/protocol/signed.ts) of all else that image.json says.
 */
import { canonical } from '../../agent/protocol/signed.ts';
import type { Signer } from '../signing/signer.ts';
import { type BootImage, ImageError } from './image.ts';

/** An image that this cluster has not signed as it is. */
export class SealError extends ImageError {}

/** The image.json of an image that is as it shall be. */
export function sealed(image: BootImage, signer: Signer): string {
  const signature = Buffer.from(signer.sign(sealedBytes(image))).toString('hex');
  return `${JSON.stringify({ ...image, signature }, null, 2)}\n`;
}

/** Throws SealError where `text`, from which `image` was read, is not signed with the cluster's key. */
export function checkSeal(image: BootImage, text: string, signer: Signer): void {
  const { signature } = JSON.parse(text) as { signature?: unknown };
  const { name } = image;
  const way = `look at it (imager image inspect ${name}, imager image verify ${name}) before "imager image sign ${name}"`;
  if (signature === undefined)
    throw new SealError(`image ${name} is not signed: an earlier version added it, or somebody else; ${way}`);
  if (!signer.verify(sealedBytes(image), Buffer.from(String(signature), 'hex')))
    throw new SealError(
      `image ${name} is not what this cluster signed: image.json was changed, or is another cluster's; ${way}`,
    );
}

function sealedBytes(image: BootImage): Uint8Array {
  return canonical({ signed: 'bootwright boot table 1', image });
}
