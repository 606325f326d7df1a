/** Draws a timeline: one row a part, one bar a stretch of time in which it ran. Pure. */
import { LOOK, PARTS } from '../rig/boot-parts.ts';
import { pictureSvg } from '../rig/picture.ts';
import type { Bar, Timeline } from './timeline.ts';

/** An SVG document of its own, readable on light and dark pages. */
export function timelineSvg(title: string, { bars, ready }: Timeline): string {
  const boots = [...new Set(bars.map((bar) => bar.boot))];
  return pictureSvg({
    title,
    rows: PARTS.map((part) => LOOK[part].label),
    bars: bars.map(({ part, boot, from, to }) => {
      const { label, colour } = LOOK[part];
      const words = `${label}, boot ${boot}: ${(to - from).toFixed(2)} s`;
      return { row: PARTS.indexOf(part), from, to, colour, title: words };
    }),
    marks: boots.map((boot) => ({ at: startOf(bars, boot), label: `boot ${boot}` })),
    flag: ready === undefined ? undefined : { at: ready, label: `ready ${ready.toFixed(1)} s` },
    notes: [],
    end: Math.max(...bars.map((bar) => bar.to), 1),
  });
}

function startOf(bars: readonly Bar[], boot: number): number {
  return Math.min(...bars.filter((bar) => bar.boot === boot).map((bar) => bar.from));
}
