/** How far long work has come. */
import type { Context } from './context.ts';

/** Tells each tenth that is done. */
export function percent(context: Context): (share: number) => void {
  let told = 0;
  return (share) => {
    const tenth = Math.floor(share * 10);
    if (tenth <= told) return;
    told = tenth;
    context.progress(`${tenth * 10} %`);
  };
}

/** How often an imager is asked how far it has come. */
const ASK_MS = 250;

/** Does `work`, of which a base image named `base` comes, and tells how far it, or the imager for it, has come. */
export async function percentOfBase<T>(
  context: Context,
  base: string,
  work: (progress: (share: number) => void) => Promise<T>,
): Promise<T> {
  const tell = percent(context);
  const ask = (): void => {
    const asked = context.get<{ share: number | null }>(
      `/control/bases/${encodeURIComponent(base)}/progress`,
    );
    // What becomes of the work tells what is the matter.
    asked.then(({ share }) => tell(share ?? 0)).catch(() => undefined);
  };
  const timer = setInterval(ask, ASK_MS);
  try {
    const result = await work(tell);
    tell(1);
    return result;
  } finally {
    clearInterval(timer);
  }
}
