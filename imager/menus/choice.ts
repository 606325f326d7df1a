/** Which image a node is given, and why that one. Pure. */
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import type { NodeConfig } from '../model/config.ts';

export type BootChoice =
  | { image: string; from: 'pointer' | 'node' | 'default'; why: string }
  | { image: null; from: 'none'; why: string };

/**
 * The boot pointer as last known, else what the configuration says of the node, else of all nodes. Of a pointer whose
 * attempts are used up the fallback image counts, as it does for firmware.
 */
export function bootChoice(
  node: NodeConfig | undefined,
  pointer: BootPointer | null,
  standard: string | undefined,
): BootChoice {
  if (pointer !== null) {
    const spent = pointer.phase === 'deploy' && pointer.attempts === 0 && pointer.fallback !== '';
    return spent
      ? {
          image: pointer.fallback,
          from: 'pointer',
          why: 'its boot pointer has no attempts left: the fallback image',
        }
      : { image: pointer.image, from: 'pointer', why: `its boot pointer names it (phase ${pointer.phase})` };
  }
  const own = node?.boot?.image;
  if (own !== undefined)
    return { image: own, from: 'node', why: 'boot.image of the node in the configuration' };
  if (standard !== undefined)
    return { image: standard, from: 'default', why: 'boot.image of the configuration' };
  return {
    image: null,
    from: 'none',
    why: 'no boot pointer is known, and the configuration has no boot.image',
  };
}
