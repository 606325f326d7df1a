/** `imager node boots`: a node's attempts to boot as timelines, live where asked for. */

import { setTimeout } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { plain } from '../../agent/protocol/plain.ts';
import { attemptText, earlierOfFailed, latestRow } from '../explain/boots.ts';
import type { Row } from '../explain/timeline.ts';
import { type Attempt, attemptsOf, type BootsView } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
import { Context } from './context.ts';
import { NotReachableError } from './failure.ts';
import { time } from './table.ts';
import { plainJson } from './terminal.ts';

/** Attempts that may be asked for. */
const MOST = 1000;
/** Between two looks whether the imager is back. */
const AGAIN_MS = 1000;

interface BootsOptions {
  last: number;
  follow?: boolean;
}

/** Adds the verb to the group `node`. */
export function addBoots(node: Command): void {
  node
    .command('boots')
    .description('show the attempts of a node to boot as timelines')
    .argument('<name>', 'name of the node, or MAC or address of anybody')
    .option('--last <n>', 'attempts to show, the latest', count, 3)
    .option('--follow', 'go on with what happens, as it happens; an imager that restarts is waited for')
    .option('--json', 'print JSON; with --follow one event a line')
    .addHelpText(
      'after',
      `
The journal outlives the imager. Strangers are in it too, under their MAC. Of whom nothing was ever heard it says so, which is
no failure; a name that is no node's is one (exit code 1).

Examples:
  imager node boots node1
  imager node boots node1 --follow
  imager node boots 52:54:00:77:00:99 --last 10 --json`,
    )
    .action(async (name: string, options: BootsOptions, command: Command) => {
      const context = new Context(command);
      const path = `/api/boots/${encodeURIComponent(name)}`;
      if (options.follow === true) await follow(context, `${path}/stream?last=${options.last}`);
      else {
        const view = await context.get<BootsView>(`${path}?last=${options.last}`);
        const { attempts } = await context.get<BootsView>(`${path}?last=${MOST}`);
        context.print(view, () => `${text(context, view)}${earlierText(view.attempts, attempts)}`);
      }
    });
}

/** What led to the fallback image may be further back than what is shown. */
function earlierText(shown: readonly Attempt[], known: readonly Attempt[]): string {
  const { failed, count } = earlierOfFailed(shown, known) ?? { failed: '', count: 0 };
  if (count === 0) return '';
  const words = count === 1 ? 'one attempt of it is' : `${count} attempts of it are`;
  return `\n\n${failed} was given up: ${words} further back; --last shows more`;
}

function text(context: Context, { who, node, attempts }: BootsView): string {
  if (attempts.length === 0) return `${node ?? who}: nothing was ever heard of it`;
  const names = { who: node ?? who, imager: context.config.network.address };
  return attempts
    .map((attempt) => {
      const { outcome, rows } = attemptText(attempt, names);
      return [`${head(names.who, attempt)}: ${outcome}`, ...rows.map(line)].join('\n');
    })
    .join('\n\n');
}

/**
 * Prints what there is, then each event as it comes. Never ends by itself: where the imager does, it goes on with the
 * next one.
 */
async function follow(context: Context, path: string): Promise<never> {
  const take = taker(context);
  await context.stream(path, take);
  for (;;) {
    context.progress('the imager has ended, or hangs: waiting for it to come back');
    while (!(await cameBack(context, path, take))) await setTimeout(AGAIN_MS);
  }
}

/** Resolves to true where the imager was there and has ended once more, to false where it is not there. */
async function cameBack(context: Context, path: string, take: ReturnType<typeof taker>): Promise<boolean> {
  try {
    await context.stream(path, take);
    return true;
  } catch (error) {
    if (error instanceof NotReachableError) return false;
    throw error;
  }
}

/** What prints a stream's events; of what is told again when the imager has come back, only what is new. */
function taker(context: Context): (name: string, data: unknown) => void {
  let events: RecordedEvent[] = [];
  let shown: BootsView | undefined;
  /** Of the latest event printed: numbers begin anew with the imager. */
  let latest = 0;
  const next = (event: RecordedEvent) => {
    latest = Math.max(latest, event.at);
    if (context.json) return print([oneLine(event)]);
    events.push(event);
    const attempts = attemptsOf(events, event.at);
    const last = attempts.at(-1)!;
    if (attempts.length > 1 || events.length === 1)
      print(['', `${head(shown?.node ?? shown?.who ?? '', last)}:`]);
    // One attempt is enough to tell where the next one begins.
    events = last.events;
    const row = latestRow(last);
    if (row !== undefined) print([line(row)]);
    if (last.outcome === 'ready' && event.step === 'ready') print(['ready']);
  };
  return (name, data) => {
    if (name !== 'boots') return next(data as RecordedEvent);
    const again = shown !== undefined;
    shown = data as BootsView;
    // The end of a transfer may be later than the beginning of the next attempt.
    const known = shown.attempts.flatMap((each) => each.events).sort((a, b) => a.at - b.at);
    if (again) {
      context.progress('the imager is back');
      for (const event of known.filter(({ at }) => at > latest)) next(event);
      return;
    }
    latest = known.at(-1)?.at ?? 0;
    events = shown.attempts.at(-1)?.events ?? [];
    print(context.json ? known.map(oneLine) : [text(context, shown)]);
  };
}

function head(who: string, { startedAt }: Attempt): string {
  return `${who}, boot of ${time(startedAt)}`;
}

function line({ seconds, who, what }: Row): string {
  return `${seconds.toFixed(3).padStart(9)}  ${who.padEnd(8)}  ${plain(what).replaceAll('\n', '?')}`;
}

function oneLine(event: RecordedEvent): string {
  return plainJson(event).replaceAll(/\n */g, ' ');
}

function print(lines: readonly string[]): void {
  for (const each of lines) process.stdout.write(`${plain(each)}\n`);
}

function count(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > MOST)
    throw new InvalidArgumentError(`a number from 1 to ${MOST}`);
  return number;
}
