/** Whether a node can run an image, by the processor it has told of. Pure. */
import type { Resource } from '../../agent/protocol/resources.ts';
import type { Architecture } from './image.ts';

/**
 * The kernel's names of architectures (uname(2), `machine`) and Debian's, each with the images that its processors may run: a
 * kernel of 32 bits says nothing of whether there are 64.
 */
const RUN: readonly [RegExp, Architecture][] = [
  [/^(?:x86_64|amd64|i[3-6]86)$/, 'amd64'],
  [/^(?:aarch64|arm64|arm|arm(?:v[5-8]\w*|hf|el))$/, 'arm64'],
];

/** The architecture of a node's processor that cannot run an image for `arch`; undefined where it can, or nothing is known. */
export function otherProcessor(arch: Architecture, resources: readonly Resource[]): string | undefined {
  for (const { kind, fields } of resources) {
    const own = kind === 'processor' ? fields.arch : undefined;
    const runs = RUN.find(([names]) => names.test(String(own)))?.[1];
    if (runs !== undefined && runs !== arch) return String(own);
  }
  return undefined;
}
