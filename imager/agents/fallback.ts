/** Whether a node came up with its fallback image, and what is known of why. Pure. */
import type { Hello } from '../../agent/protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../../agent/protocol/pointer/record.ts';
import type { Fallback } from '../model/fallback.ts';
import type { BootRecord } from '../model/views.ts';

/** What was known of a node before its hello. */
export interface Before {
  pointer: BootPointer | null;
  given?: number;
  fallback?: Fallback;
  boots: readonly BootRecord[];
}

/** What ends a boot that does not get ready: next it is tried again, or stays up to be looked at. */
const GIVEN_UP: readonly string[] = ['retry', 'fall-back', 'failed'];

/**
 * Attempts the firmware was given for the pointer's deployment, as far as they have been seen: in a hello the one that led
 * to it is counted already. Undefined where nothing is known of it.
 */
export function attemptsGiven(
  before: Before | undefined,
  { pointer, bootedImage }: Pick<Hello, 'pointer' | 'bootedImage'>,
): number | undefined {
  const known = before?.pointer?.deployment === pointer?.deployment ? before?.given : undefined;
  if (pointer === null || fellBack({ pointer, bootedImage })) return known;
  const counted = pointer.phase === 'deploy' && bootedImage === pointer.image ? 1 : 0;
  return Math.max(known ?? 0, pointer.attempts + counted);
}

/** Of a hello. Undefined where it booted what its pointer names. */
export function fallbackOf(
  before: Before | undefined,
  { pointer, bootedImage }: Pick<Hello, 'pointer' | 'bootedImage'>,
): Fallback | undefined {
  if (pointer === null || !fellBack({ pointer, bootedImage })) return undefined;
  const [image, failed] = [bootedImage, pointer.image];
  const { deployment } = pointer;
  const again = before?.fallback;
  // Booted once more: what led to it is further back than what is kept.
  if (again?.failed === failed && again.deployment === deployment) return { ...again, image };
  const boots = (before?.boots ?? []).toReversed();
  const other = boots.findIndex((boot) => boot.image !== failed || boot.deployment !== deployment);
  const why = boots
    .slice(0, other === -1 ? boots.length : other)
    .flatMap(({ steps }) => steps.toReversed())
    .find(({ step }) => GIVEN_UP.includes(step))?.detail.why;
  return {
    ...{ image, failed, deployment },
    // Flashed with a cable: what every writer of ours gives.
    attempts: (before?.pointer?.deployment === deployment ? before.given : undefined) ?? FRESH_ATTEMPTS,
    why: typeof why === 'string' ? why : null,
  };
}

function fellBack({ pointer, bootedImage }: Pick<Hello, 'pointer' | 'bootedImage'>): boolean {
  return (
    pointer?.phase === 'deploy' &&
    pointer.attempts === 0 &&
    pointer.image !== bootedImage &&
    pointer.fallback === bootedImage
  );
}
