/** How a node stands with its imagers, for who is at its console: a line for each change, and none for each attempt. */
import { plain } from '../protocol/plain.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { RefusedError, UnreadableError } from './conversation.ts';
import type { Host } from './host.ts';
import { type ImagerAddress, imagerText } from './imager-address.ts';

export class Standing {
  readonly #host: Pick<Host, 'uptime' | 'print'>;
  /** Uptime since which no imager has this node. */
  #detachedSince: number | undefined;
  /** What was said last of each imager that has not welcomed it since, or has it no more; under '' of the node itself. */
  readonly #complaints = new Map<string, string>();
  /** The last welcome that was said, and holds. */
  #welcome = '';

  constructor(host: Pick<Host, 'uptime' | 'print'>) {
    this.#host = host;
  }

  /** Why an imager has not welcomed this node, or has it no more: not twice the same. What is the node's own names no imager. */
  complain(imager: ImagerAddress, why: unknown): void {
    const about = why instanceof UnreadableError ? '' : imagerText(imager);
    const text = about === '' ? wordsOf(why) : `imager ${about}: ${wordsOf(why)}`;
    if (text === this.#complaints.get(about)) return;
    this.#complaints.set(about, text);
    if (why instanceof RefusedError) this.#welcome = '';
    this.#print(text);
  }

  /** None of the imagers answers and takes this node. `waiting`: it can do nothing before one does. */
  detached(waiting: boolean): void {
    if (this.#detachedSince !== undefined) return;
    this.#detachedSince = this.#host.uptime();
    this.#welcome = '';
    this.#print('no imager welcomes this node: it goes on by itself and keeps what it has to report');
    if (waiting) this.waiting();
  }

  /** From now on it can do nothing before an imager answers. */
  waiting(): void {
    if (this.#detachedSince === undefined) return;
    this.#print('its disk knows no plan for this deployment: waiting for an imager');
  }

  /** An imager has welcomed it, as `node`: gives for how many seconds none had it. Not said of each connection to the same. */
  welcomed(imager: ImagerAddress, node: string, cluster: string | undefined): number {
    const place = cluster === undefined ? '' : ` of cluster ${cluster}`;
    const text = `imager ${imagerText(imager)}: welcomes this node as ${node}${place}`;
    if (text !== this.#welcome) this.#print(text);
    this.#welcome = text;
    for (const about of ['', imagerText(imager)]) this.#complaints.delete(about);
    const seconds = Math.round(this.#host.uptime() - (this.#detachedSince ?? this.#host.uptime()));
    this.#detachedSince = undefined;
    return seconds;
  }

  #print(text: string): void {
    // Some of it is an imager's, or whoever answers in its place.
    this.#host.print(`bootwright: ${plain(text).replaceAll('\n', ' ')}`);
  }
}
