/** Draws a timeline: one row a part, one bar a stretch of time in which it ran. Pure. */
import { type Bar, PARTS, type Part, type Timeline } from './timeline.ts';

const LEFT = 90;
const WIDTH = 900;
const ROW = 26;
const BAR = 16;
const TOP = 46;
const RIGHT = 30;

/** What each part is, for the reader of the picture, and its colour. */
const LOOK: Record<Part, { label: string; colour: string }> = {
  reboot: { label: 'reset', colour: '#8d99ae' },
  firmware: { label: 'firmware', colour: '#5c6bc0' },
  dhcp: { label: 'DHCP', colour: '#00897b' },
  load: { label: 'load', colour: '#0288d1' },
  kernel: { label: 'kernel', colour: '#f9a825' },
  agent: { label: 'agent', colour: '#d81b60' },
  disk: { label: 'NBD disk', colour: '#6d4c41' },
  configure: { label: 'configure', colour: '#7cb342' },
  services: { label: 'services', colour: '#ef6c00' },
};

/** An SVG document of its own, readable on light and dark pages. */
export function timelineSvg(title: string, { bars, ready }: Timeline): string {
  const end = Math.max(...bars.map((bar) => bar.to), 1);
  const x = (seconds: number) => LEFT + (seconds / end) * WIDTH;
  const height = TOP + PARTS.length * ROW + 30;
  const boots = [...new Set(bars.map((bar) => bar.boot))];
  const text = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LEFT + WIDTH + RIGHT} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="${LEFT}" y="18" font-size="14" font-weight="bold">${escapeText(title)}</text>`,
    ...boots.map((boot) => bootMark(boot, x(startOf(bars, boot)), height)),
    ...PARTS.map((part, i) => label(part, TOP + i * ROW)),
    ...bars.map((bar) => barOf(bar, x(bar.from), x(bar.to), TOP + PARTS.indexOf(bar.part) * ROW)),
    ...axis(end, x, height),
    ready === undefined
      ? ''
      : `<text x="${x(ready).toFixed(1)}" y="${TOP - 6}" text-anchor="end" font-weight="bold">ready ${ready.toFixed(1)} s</text>`,
    '</svg>',
  ];
  return `${text.filter((line) => line !== '').join('\n')}\n`;
}

function startOf(bars: readonly Bar[], boot: number): number {
  return Math.min(...bars.filter((bar) => bar.boot === boot).map((bar) => bar.from));
}

function bootMark(boot: number, x: number, height: number): string {
  const line = `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${TOP - 18}" y2="${height - 26}" stroke="#999" stroke-dasharray="3 3"/>`;
  return `${line}<text x="${(x + 4).toFixed(1)}" y="${TOP - 8}" fill="#555">boot ${boot}</text>`;
}

function label(part: Part, y: number): string {
  return `<text x="${LEFT - 8}" y="${y + BAR - 3}" text-anchor="end">${LOOK[part].label}</text>`;
}

function barOf(bar: Bar, from: number, to: number, y: number): string {
  const width = Math.max(to - from, 1).toFixed(1);
  const seconds = (bar.to - bar.from).toFixed(2);
  const rect = `<rect x="${from.toFixed(1)}" y="${y}" width="${width}" height="${BAR}" rx="2" fill="${LOOK[bar.part].colour}">`;
  return `${rect}<title>${LOOK[bar.part].label}, boot ${bar.boot}: ${seconds} s</title></rect>`;
}

function axis(end: number, x: (seconds: number) => number, height: number): string[] {
  const step = end > 30 ? 5 : end > 12 ? 2 : 1;
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
