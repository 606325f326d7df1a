/** How far each port has come: a table that is drawn again in place on a terminal, plain lines elsewhere. */
import { plain } from '../../agent/protocol/plain.ts';
import type { Progress } from '../serial/progress.ts';
import { table } from './table.ts';

/** The part of a terminal that is needed. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

const REDRAW_MS = 100;
const WIDEST = 1000;
const UP_AND_CLEAR = (lines: number) => `\x1b[${lines}A\x1b[J`;

export class LiveTable {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #rows: Map<string, { node: string; state: string; step: string }>;
  #drawn = 0;
  #drawnAt = Number.NEGATIVE_INFINITY;

  /** `now` in milliseconds. */
  constructor(ports: readonly string[], screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#now = now;
    this.#rows = new Map(ports.map((port) => [port, { node: '', state: 'opening', step: '' }]));
    if (screen.isTTY) this.#draw();
  }

  progress(port: string, progress: Progress): void {
    const node = progress.step === 'found' ? progress.identity.uid || progress.identity.firmware : undefined;
    this.#change(port, progress.step, progressWords(progress), node, false);
  }

  ended(port: string, words: string): void {
    this.#change(port, 'ended', words, undefined, true);
  }

  /** Leaves the table as it ended. */
  close(): void {
    if (this.#screen.isTTY) this.#draw();
  }

  #change(port: string, step: string, state: string, node: string | undefined, always: boolean): void {
    const row = this.#rows.get(port);
    if (row === undefined) return;
    const newStep = row.step !== step;
    Object.assign(row, { step, state, node: node ?? row.node });
    if (!this.#screen.isTTY) {
      if (newStep) this.#line(port, node === undefined ? state : `${state} ${node}`);
    } else if (always || newStep || this.#now() - this.#drawnAt >= REDRAW_MS) this.#draw();
  }

  #line(port: string, text: string): void {
    this.#screen.write(`${plain(`${port}: ${text}`)}\n`);
  }

  #draw(): void {
    const rows = [...this.#rows].map(([port, { node, state }]) => [port, node, state]);
    const whole = plain(table(['port', 'node', 'state'], rows));
    // A line that goes on in the next would be counted as one.
    const text = whole.replaceAll(new RegExp(`(?<=^.{${this.#screen.columns || WIDEST}}).*`, 'gm'), '');
    this.#screen.write(`${this.#drawn === 0 ? '' : UP_AND_CLEAR(this.#drawn)}${text}\n`);
    this.#drawn = text.split('\n').length;
    this.#drawnAt = this.#now();
  }
}

function progressWords(progress: Progress): string {
  switch (progress.step) {
    case 'waiting':
      return 'waiting for an answer';
    case 'found':
      return 'found';
    case 'writing':
      return 'writing';
    case 'verified':
      return 'verified';
    case 'resetting':
      return 'resetting';
    case 'reading':
    case 'sending':
    case 'checking': {
      const { step, done, total } = progress;
      return done === 0 ? step : `${step} ${Math.floor((100 * done) / total)} %`;
    }
  }
}
