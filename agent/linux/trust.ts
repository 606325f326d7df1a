/** What this node takes from an imager, and later from its own disk: what its cluster has signed, and scripts of that alone. */
import type { Definition } from '../protocol/definition.ts';
import type { Flash, Plan, Script } from '../protocol/messages.ts';
import { imageBytes, planBytes } from '../protocol/signed.ts';
import type { SignedImage } from '../protocol/signed-image.ts';
import type { Host } from './host.ts';

/** Something is not what was signed: it is neither installed nor run. */
export class TamperedError extends Error {
  constructor(what: string) {
    super(`tampered: ${what}`);
  }
}

/** Throws TamperedError. A node without a definition has nobody's key to check with, and takes the plan as it came. */
export function checkPlan(host: Host, definition: Definition | undefined, plan: Plan): void {
  if (definition === undefined) return;
  const { cluster, name, signer } = definition;
  if (plan.signature === undefined) throw new TamperedError('the plan is not signed');
  const bytes = planBytes({ cluster: cluster.id, node: name }, plan);
  if (!host.verify(signer, bytes, plan.signature))
    throw new TamperedError(`the plan is not what ${cluster.name} signed for ${name}`);
}

/** What a flash says of its image's files. Throws TamperedError where `definition`'s cluster has not signed that. */
export function signedImageOf(host: Host, definition: Definition, flash: Flash): SignedImage {
  const { cluster, name, signer } = definition;
  const { image, signed } = flash;
  if (signed === undefined) throw new TamperedError(`the files of image ${image} are not signed`);
  const bytes = imageBytes({ cluster: cluster.id, node: name }, flash, signed.files);
  if (!host.verify(signer, bytes, signed.signature))
    throw new TamperedError(`the files of image ${image} are not what ${cluster.name} signed for ${name}`);
  return signed;
}

/** Throws TamperedError where the file is not the script of the plan. To be called each time before it is run. */
export function checkScript(host: Host, path: string, script: Script): void {
  const wanted = host.sha256(new TextEncoder().encode(script.content));
  const there = host.sha256(host.readFile(path));
  if (there.some((byte, at) => byte !== wanted[at]))
    throw new TamperedError(`${path} is not what was installed`);
}
