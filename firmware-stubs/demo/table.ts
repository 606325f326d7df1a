/** A timeline as text for a terminal. Pure. */
import { PARTS } from '../rig/boot-parts.ts';
import { breakdown, type Timeline } from './timeline.ts';

const DETAIL_WIDTH = 90;

/** One line an event: seconds since power-on, which side saw it, what. */
export function rowsText({ rows }: Timeline): string {
  const lines = rows.map(({ seconds, component, step, detail }) => {
    const at = seconds.toFixed(3).padStart(8);
    return `${at}  ${component.padEnd(9)} ${step.padEnd(15)} ${detail.slice(0, DETAIL_WIDTH)}`.trimEnd();
  });
  return ['    secs  seen by   step            detail', ...lines].join('\n');
}

/** Seconds spent in each part, one column a boot, and what the targets are about. */
export function breakdownText(timeline: Timeline): string {
  const boots = breakdown(timeline.bars);
  const cell = (value: number | undefined) => (value === undefined ? '-' : value.toFixed(2)).padStart(8);
  const line = (name: string, values: (number | undefined)[]) =>
    `${name.padEnd(12)}${values.map(cell).join('')}${cell(sum(values))}`;
  const head = `${'seconds'.padEnd(12)}${boots.map((_, i) => `boot ${i + 1}`.padStart(8)).join('')}${'all'.padStart(8)}`;
  const parts = PARTS.map((part) =>
    line(
      part,
      boots.map((boot) => boot[part]),
    ),
  );
  const totals = boots.map((boot) => sum(Object.values(boot)));
  const disk = timeline.mounted.map((seconds, i) => `boot ${i + 1}: ${seconds.toFixed(2)} s`).join(', ');
  return [
    head,
    ...parts,
    line('total', totals),
    '',
    `power-on or reset to disk mounted: ${disk}`,
    `power-on to ready, ${boots.length} boot${boots.length === 1 ? '' : 's'}: ${timeline.ready?.toFixed(2) ?? '-'} s`,
  ].join('\n');
}

function sum(values: (number | undefined)[]): number {
  return values.reduce<number>((total, value) => total + (value ?? 0), 0);
}
