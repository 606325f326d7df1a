/** The serial line of a node: bytes to lines, and lines to events. Pure. */
import { SerialFrameReader } from '../../agent/protocol/serial/frame.ts';
import type { Component } from '../../imager/journal/event.ts';

/** Longer lines are cut into pieces of this many characters: a guest must not make the rig grow without bound. */
export const LONGEST_LINE = 4096;

/** Terminal control sequences; those that clear the screen (SeaBIOS, at each mode switch) end a line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const CLEAR = /\x1bc|\x1b\[2J/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const CONTROL = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]/g;

/** Puts chunks together to lines. */
export class LineReader {
  #rest = '';

  /** What has come of the line that is not complete yet. */
  get partial(): string {
    return this.#rest.replace(CONTROL, '');
  }

  /** The lines that `chunk` completed, without control characters. Empty lines are left out. */
  push(chunk: string): string[] {
    const parts = (this.#rest + chunk).replace(CLEAR, '\n').split('\n');
    this.#rest = parts.pop() ?? '';
    while (this.#rest.length > LONGEST_LINE) {
      parts.push(this.#rest.slice(0, LONGEST_LINE));
      this.#rest = this.#rest.slice(LONGEST_LINE);
    }
    return parts.map((line) => line.replace(CONTROL, '')).filter((line) => line.trim() !== '');
  }
}

/** Reads a line that may carry frames of the serial protocol too: lines of its console text alone. */
export class ConsoleReader {
  readonly #frames = new SerialFrameReader();
  readonly #lines = new LineReader();

  /** What has come of the line that is not complete yet. */
  get partial(): string {
    return this.#lines.partial;
  }

  /** The lines that `chunk` completed, without control characters. */
  push(chunk: Uint8Array): string[] {
    return this.#frames
      .push(chunk)
      .flatMap((item) => (item.kind === 'text' ? this.#lines.push(latin1(item.bytes)) : []));
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** What a line says about the boot. */
export interface LineMeaning {
  component: Component;
  step: string;
  reason?: string;
  detail?: Record<string, string | number | boolean>;
}

/**
 * Meaning of `bootwright: firmware WORD ...` (firmware-stubs/uboot, firmware-stubs/ipxe) and `bootwright: step NAME
 * SECONDS KEY=VALUE ...` (the agent). Undefined for every other line, and for one of these with a form of its own.
 * Up to three characters may come before: SeaBIOS holds back the end of a line ("ok") until others write.
 */
export function lineMeaning(line: string): LineMeaning | undefined {
  const [, who, rest = ''] = /^.{0,3}bootwright: (firmware|step) (.*)$/.exec(line) ?? [];
  if (who === 'step') {
    const [, step, seconds, text = ''] = /^(\S+) (\d+(?:\.\d+)?)((?: \w+=.*)?)$/.exec(rest) ?? [];
    if (step === undefined) return undefined;
    return { component: 'agent', step, detail: { uptime: Number(seconds), ...detailOf(text) } };
  }
  if (who !== 'firmware') return undefined;
  const [, word = '', text = ''] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
  switch (word) {
    case 'start':
      return { component: 'firmware', step: 'start' };
    case 'pointer': {
      const [, image, slot, attempts] = /^image=(\S*) slot=(\d) attempts=(\d+)$/.exec(text) ?? [];
      if (image === undefined) return undefined;
      return {
        component: 'firmware',
        step: 'pointer',
        detail: { image, slot: Number(slot), attempts: Number(attempts) },
      };
    }
    case 'dhcp':
      return { component: 'firmware', step: 'dhcp', detail: { address: text } };
    case 'load':
    case 'boot':
      return { component: 'firmware', step: word, detail: { image: text } };
    case 'error':
      return { component: 'firmware', step: 'error', reason: text };
    default:
      return undefined;
  }
}

/** ` key=value key=value`: a value goes on to the next key, spaces included. */
function detailOf(text: string): Record<string, string> {
  const pairs = text.matchAll(/ (\w+)=(.*?)(?= \w+=|$)/g);
  return Object.fromEntries([...pairs].map(([, key = '', value = '']) => [key, value]));
}
