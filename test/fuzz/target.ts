/** What is fuzzed. */
import type { Material } from './mutate.ts';

export interface Target extends Material {
  /**
   * Takes one packet. True: it was good; false: it was refused as the codec refuses packets. Throws, or rejects, where
   * the codec does anything else. Keeps nothing of `bytes`, whose memory is used again.
   */
  take(bytes: Uint8Array): boolean | Promise<boolean>;
}

/** Throws where a promise of the codec's is broken. */
export function promise(kept: boolean, words: string): void {
  if (!kept) throw new Error(`broken promise: ${words}`);
}

/** False where `work` throws one of `known`; what else it throws goes on. */
export function refusable(known: abstract new (...args: never[]) => Error, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof known) return false;
    throw error;
  }
}
