/** A node whose firmware has given an image up: its boot pointer has no attempts left, and it booted the last good image. */

export interface Fallback {
  /** What was booted, and what should have been. */
  image: string;
  failed: string;
  /** Of the pointer that names `failed`: another one of the same image has its own attempts. */
  deployment: string;
  /** How often the firmware tried. */
  attempts: number;
  /** What the agent of a failed boot last said. Null: none was heard of. */
  why: string | null;
}

/** Of the details of the journal's event `fallback`. */
export function fallbackOfDetail(detail: Readonly<Record<string, unknown>>): Omit<Fallback, 'deployment'> {
  const { image, failed, attempts, why } = detail;
  return {
    ...{ image: String(image), failed: String(failed), attempts: Number(attempts) },
    why: typeof why === 'string' ? why : null,
  };
}

/** `the fallback image alpha, since broken was not ready after 3 attempts: ...`. */
export function fallbackWords({ image, failed, attempts, why }: Omit<Fallback, 'deployment'>): string {
  const times = `${attempts} attempt${attempts === 1 ? '' : 's'}`;
  const said = why ?? 'its agent was never heard of, so look at the console of its kernel';
  return `the fallback image ${image}, since ${failed} was not ready after ${times}: ${said}`;
}
