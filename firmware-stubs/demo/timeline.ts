/** From the events of a boot sequence to its timeline: rows as seen, and how long each part took. Pure. */
import type { BootEvent, Component } from '../../imager/journal/event.ts';
import { BEGINS, type Part } from '../rig/boot-parts.ts';

/** One thing that happened, seconds after power-on. */
export interface Row {
  seconds: number;
  component: Component;
  step: string;
  detail: string;
}

/** A stretch of time in which one part ran. Seconds after power-on. */
export interface Bar {
  part: Part;
  boot: number;
  from: number;
  to: number;
}

export interface Timeline {
  rows: Row[];
  bars: Bar[];
  /** Of each boot: seconds from its power-on or restart to its root disk mounted. */
  mounted: number[];
  /** Seconds from power-on to ready; undefined where that was not reached. */
  ready: number | undefined;
}

/** Orders `events` (from serial line and imager, on one clock) from `powerOn`, in milliseconds since the epoch. */
export function timelineOf(events: readonly BootEvent[], powerOn: number): Timeline {
  const sorted = events.filter((event) => event.at >= powerOn).sort((a, b) => a.at - b.at);
  const rows = sorted.map((event) => ({
    seconds: (event.at - powerOn) / 1000,
    component: event.component,
    step: event.step,
    detail: detailOf(event),
  }));
  const bars: Bar[] = [];
  const mounted: number[] = [];
  let open: Bar = { part: 'firmware', boot: 1, from: 0, to: 0 };
  let bootStart = 0;
  let ready: number | undefined;
  for (const { component, step, seconds } of rows) {
    if (ready !== undefined) break;
    const key = `${component} ${step}`;
    const part = BEGINS[key];
    if (key === 'agent ready') ready = seconds;
    if (key === 'agent mounted') mounted.push(seconds - bootStart);
    if (part === undefined && ready === undefined) continue;
    // Waiting for services looks like configuring until they are up.
    if (key === 'agent services') open.part = 'services';
    // The imager sees a disk attached again where it was restarted; that is no new part of a boot.
    if (key === 'nbd attach' && open.part !== 'agent') continue;
    if (part === open.part) continue;
    bars.push({ ...open, to: seconds });
    if (part === 'reboot') bootStart = seconds;
    open = {
      part: part ?? open.part,
      boot: open.boot + (part === 'reboot' ? 1 : 0),
      from: seconds,
      to: seconds,
    };
  }
  return { rows, bars: bars.filter((bar) => bar.to > bar.from), mounted, ready };
}

/** Seconds spent in each part of each boot: [boot - 1][part]. */
export function breakdown(bars: readonly Bar[]): Partial<Record<Part, number>>[] {
  const boots: Partial<Record<Part, number>>[] = [];
  for (const { part, boot, from, to } of bars) {
    boots[boot - 1] ??= {};
    boots[boot - 1]![part] = (boots[boot - 1]![part] ?? 0) + to - from;
  }
  return boots;
}

/** Address, details and reason in words; what the row says elsewhere is left out. */
function detailOf({ detail = {}, reason, address }: BootEvent): string {
  const words = Object.entries(detail)
    .filter(([key]) => !['boot', 'seconds', 'uptime'].includes(key))
    .map(([key, value]) => `${key}=${value}`);
  if (address !== undefined) words.unshift(address);
  if (reason !== undefined) words.push(`(${reason})`);
  return words.join(' ');
}
