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
