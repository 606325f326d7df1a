/** Draws what happened when: one row a thing, one bar a stretch of time. Pure. Times are seconds. */

export interface Picture {
  title: string;
  /** Labels of the rows, from the top. */
  rows: readonly string[];
  bars: readonly PictureBar[];
  /** Dashed lines through all rows, with a word at the top. */
  marks: readonly { at: number; label: string }[];
  /** A word before a moment; undefined: none. */
  flag: { at: number; label: string } | undefined;
  /** Lines of text below. */
  notes: readonly string[];
  /** Where the picture ends. */
  end: number;
}

export interface PictureBar {
  row: number;
  from: number;
  to: number;
  colour: string;
  /** Shown where the pointer rests on it. */
  title: string;
}

const LEFT = 90;
const WIDTH = 900;
const ROW = 26;
const BAR = 16;
const TOP = 46;
const RIGHT = 30;
const NOTE = 16;

/** An SVG document of its own, readable on light and dark pages. */
export function pictureSvg({ title, rows, bars, marks, flag, notes, end }: Picture): string {
  const x = (seconds: number) => LEFT + (seconds / end) * WIDTH;
  const height = TOP + rows.length * ROW + 30;
  const whole = height + notes.length * NOTE;
  const text = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${whole}" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="18" font-size="14" font-weight="bold">${escapeText(title)}</text>`,
    ...marks.map(({ at, label }) => markLine(label, x(at), height)),
    ...rows.map((label, i) => rowLabel(label, TOP + i * ROW)),
    ...bars.map((bar) => barOf(bar, x(bar.from), x(bar.to), TOP + bar.row * ROW)),
    ...axis(end, x, height),
    flag === undefined
      ? ''
      : `<text x="${x(flag.at).toFixed(1)}" y="${TOP - 6}" text-anchor="end" font-weight="bold">${escapeText(flag.label)}</text>`,
    ...notes.map(
      (note, i) => `<text x="${LEFT}" y="${height + i * NOTE + 8}" fill="#555">${escapeText(note)}</text>`,
    ),
    '</svg>',
  ];
  return `${text.filter((line) => line !== '').join('\n')}\n`;
}

function markLine(label: string, x: number, height: number): string {
  const line = `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${TOP - 18}" y2="${height - 26}" stroke="#999" stroke-dasharray="3 3"/>`;
  return `${line}<text x="${(x + 4).toFixed(1)}" y="${TOP - 8}" fill="#555">${escapeText(label)}</text>`;
}

function rowLabel(label: string, y: number): string {
  return `<text x="${LEFT - 8}" y="${y + BAR - 3}" text-anchor="end">${escapeText(label)}</text>`;
}

function barOf({ colour, title }: PictureBar, from: number, to: number, y: number): string {
  const width = Math.max(to - from, 1).toFixed(1);
  const rect = `<rect x="${from.toFixed(1)}" y="${y}" width="${width}" height="${BAR}" rx="2" fill="${colour}">`;
  return `${rect}<title>${escapeText(title)}</title></rect>`;
}

function axis(end: number, x: (seconds: number) => number, height: number): string[] {
  const step = end > 240 ? 60 : end > 90 ? 15 : end > 30 ? 5 : end > 12 ? 2 : 1;
  const ticks: string[] = [];
  for (let second = 0; second <= end; second += step)
    ticks.push(
      `<text x="${x(second).toFixed(1)}" y="${height - 10}" text-anchor="middle" fill="#555">${second} s</text>`,
    );
  return ticks;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
