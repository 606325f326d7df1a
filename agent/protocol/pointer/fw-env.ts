/**
 * Pointer layout `fw-env`: the boot pointer as variables (`bw_...`) of U-Boot's own environment, among all others there, which
 * are kept. env-block.ts has the bytes of a block.
 *
 * Redundant: two blocks, of which U-Boot takes one (env/common.c env_import_redund(), tools/env/fw_env.c):
 *
 *     | CRCs        | flag bytes                 | taken                                       |
 *     | ----------- | -------------------------- | ------------------------------------------- |
 *     | one right   | any                        | that one                                    |
 *     | both wrong  | any                        | none: U-Boot goes on with built-in defaults |
 *     | both right  | 255 and 0, in either order | the 0: the counter has wrapped              |
 *     |             | otherwise different        | the larger: no serial arithmetic            |
 *     |             | equal                      | the first                                   |
 *
 * The flag byte is an 8-bit counter (`counter`: files, block devices, NAND, UBI), or says 1 for the block in force and 0
 * for the former one (`boolean`: NOR flash, where a 1 becomes a 0 without erasing; 255 beside anything else but 1 and 0 is in
 * force). There a write ends by setting the former block's to 0. A write goes to the block that is not taken, whole.
 *
 * Single: one block that is written in place, and a spare copy of ours that is written before it. Where the block's CRC is
 * wrong the spare copy is the pointer, and the next write restores all from it; U-Boot itself does not know of it.
 *
 * Nothing is written where no block has a right CRC: our few variables alone in an environment with a right CRC would take
 * the place of U-Boot's built-in defaults, `bootcmd` included, or of what a technician might still rescue.
 */
import {
  type BadBlock,
  decodeEnvBlock,
  type EnvBlock,
  encodeEnvBlock,
  sortedVariables,
} from './env-block.ts';
import type { Patch, PointerLayout, Slot, SlotIndex } from './layout.ts';
import { type BootPointer, fieldsOf, pointerFromFields } from './record.ts';

export type FlagScheme = 'counter' | 'boolean';

const FLAG = 4;
const IN_FORCE = 1;
const FORMER = 0;
const ERASED = 0xff;

type Blocks = [EnvBlock | BadBlock, EnvBlock | BadBlock];

/** The two blocks of `size` bytes one behind the other, wherever they really are. */
export function redundantFwEnv(size: number, scheme: FlagScheme): PointerLayout {
  const blocks = (image: Uint8Array) => blocksOf(image, size, true);
  const active = (image: Uint8Array) => taken(blocks(image), scheme);
  return {
    ...shared(size, blocks),
    fixedSlot: undefined,
    active,
    patches(image, slot, pointer): Patch[] {
      const from = active(image);
      const former = from === undefined ? undefined : blocks(image)[from];
      if (former === undefined || 'why' in former) throw new RangeError('no environment to keep');
      const flag = scheme === 'boolean' ? IN_FORCE : ((former.flag ?? 0) + 1) & 0xff;
      const block = { offset: slot * size, bytes: encoded(former, pointer, flag, size) };
      if (scheme === 'counter') return [block];
      return [block, { offset: (1 - slot) * size + FLAG, bytes: Uint8Array.of(FORMER) }];
    },
  };
}

/** The environment at 0, the spare copy behind it. */
export function singleFwEnv(size: number): PointerLayout {
  const blocks = (image: Uint8Array) => blocksOf(image, size, false);
  const active = (image: Uint8Array) => {
    const [main, spare] = blocks(image);
    return 'variables' in main ? 0 : 'variables' in spare ? 1 : undefined;
  };
  return {
    ...shared(size, blocks),
    fixedSlot: 0,
    active,
    patches(image, _slot, pointer): Patch[] {
      const from = active(image) ?? 0;
      const former = blocks(image)[from];
      if ('why' in former) throw new RangeError('no environment to keep');
      const bytes = encoded(former, pointer, undefined, size);
      const places = [
        { offset: size, bytes },
        { offset: 0, bytes },
      ];
      // The one that is sound stays so until the other is.
      return from === 0 ? places : places.reverse();
    },
  };
}

function shared(size: number, blocks: (image: Uint8Array) => Blocks) {
  return {
    name: 'fw-env' as const,
    firmwareCounts: false,
    size: 2 * size,
    wraps: true,
    read: (image: Uint8Array): [Slot, Slot] => {
      const [a, b] = blocks(image);
      return [slotOf(a), slotOf(b)];
    },
    refusal(image: Uint8Array): string | undefined {
      const both = blocks(image);
      if (both.some((block) => 'variables' in block)) return undefined;
      if (both.every((block) => 'why' in block && block.empty))
        return (
          'there is no environment yet, and one of boot pointers alone would take the place of the built-in one: ' +
          'let U-Boot write its own first (saveenv)'
        );
      const why = both.map((block, i) => `copy ${i}: ${'why' in block ? block.why : ''}`).join('; ');
      return (
        `no copy of the environment is sound (${why}), and a fresh one would end what may still be rescued: ` +
        'restore it first (mkenvimage, or saveenv in U-Boot)'
      );
    },
  };
}

/** Which block U-Boot takes: the table above. */
function taken([a, b]: Blocks, scheme: FlagScheme): SlotIndex | undefined {
  if ('why' in a) return 'why' in b ? undefined : 1;
  if ('why' in b) return 0;
  const [first, second] = [a.flag ?? 0, b.flag ?? 0];
  if (scheme === 'boolean') {
    if (first <= IN_FORCE && second <= IN_FORCE) return second > first ? 1 : 0;
    return second === ERASED && first !== ERASED ? 1 : 0;
  }
  if (first === 255 && second === 0) return 1;
  if (first === 0 && second === 255) return 0;
  return second > first ? 1 : 0;
}

function blocksOf(image: Uint8Array, size: number, redundant: boolean): Blocks {
  return [
    decodeEnvBlock(image.subarray(0, size), redundant),
    decodeEnvBlock(image.subarray(size, 2 * size), redundant),
  ];
}

function slotOf(block: EnvBlock | BadBlock): Slot {
  if ('why' in block) return block.empty ? { kind: 'empty' } : { kind: 'torn', why: block.why };
  // An environment that never had a boot pointer.
  if (![...block.variables.keys()].some((name) => name.startsWith('bw_'))) return { kind: 'empty' };
  const result = pointerFromFields(block.variables);
  return 'faults' in result ? { kind: 'invalid', ...result } : { kind: 'valid', pointer: result };
}

/** `former` with the pointer's variables; an empty value is no variable, as fw_setenv has it. */
function encoded(former: EnvBlock, pointer: BootPointer, flag: number | undefined, size: number): Uint8Array {
  const variables = new Map(former.variables);
  for (const [name, value] of fieldsOf(pointer))
    if (value === '') variables.delete(name);
    else variables.set(name, value);
  return encodeEnvBlock({ variables: sortedVariables(variables), flag }, size);
}
