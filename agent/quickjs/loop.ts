/** The event loop under the QuickJS host: timers and descriptors over poll(2). */
import * as bw from 'bw';

export const POLLIN = 1;
export const POLLOUT = 4;

type Direction = typeof POLLIN | typeof POLLOUT;
interface Watch {
  fd: number;
  direction: Direction;
  callback: () => void;
  /** Does not keep the program running. */
  background: boolean;
}
interface Timer {
  id: number;
  due: number;
  callback: () => void;
}

const watches: Watch[] = [];
/** Sorted by due time. */
const timers: Timer[] = [];
let lastTimer = 0;

/** Calls `callback` once when `fd` is ready (or failed). One watch a descriptor and direction: the last one counts. */
export function watch(fd: number, direction: Direction, callback: () => void, background = false): void {
  unwatch(fd, direction);
  watches.push({ fd, direction, callback, background });
}

/** Forgets a watch; to be called before its descriptor is closed. */
export function unwatch(fd: number, direction: Direction): void {
  const at = watches.findIndex((each) => each.fd === fd && each.direction === direction);
  if (at >= 0) watches.splice(at, 1);
}

/** Calls `callback` after so many milliseconds of CLOCK_BOOTTIME. */
export function startTimer(callback: () => void, milliseconds: number): number {
  const due = bw.uptime() * 1000 + Math.max(0, Number(milliseconds) || 0);
  const timer = { id: ++lastTimer, due, callback };
  const after = timers.findIndex((each) => each.due > due);
  timers.splice(after < 0 ? timers.length : after, 0, timer);
  return timer.id;
}

export function stopTimer(id: number): void {
  const at = timers.findIndex((each) => each.id === id);
  if (at >= 0) timers.splice(at, 1);
}

/** Waits for the next events and calls their callbacks; false where nothing can come any more. */
export function turn(): boolean {
  if (timers.length === 0 && watches.every((each) => each.background)) return false;
  const first = timers[0];
  const wait = first === undefined ? -1 : Math.max(0, Math.ceil(first.due - bw.uptime() * 1000));
  const polled = [...watches];
  const events = bw.poll(
    polled.flatMap((each) => [each.fd, each.direction]),
    wait,
  );
  polled.forEach((each, at) => {
    // A callback before this one may have dropped it.
    if (events[at] === 0 || !watches.includes(each)) return;
    watches.splice(watches.indexOf(each), 1);
    each.callback();
  });
  const now = bw.uptime() * 1000;
  for (let timer = timers[0]; timer !== undefined && timer.due <= now; timer = timers[0]) {
    timers.shift();
    timer.callback();
  }
  return true;
}
