/** Whether an event is one that is meant. Pure. */
import type { RigEvent } from './event.ts';
import type { EventPattern } from './scenario.ts';

/** True where all that `pattern` says is so of `event`. `start` fits none: it comes before the first. */
export function fits({ node, what }: EventPattern, event: RigEvent): boolean {
  if (node !== undefined && event.node !== node) return false;
  switch (what.kind) {
    case 'step':
      return (
        event.kind === 'step' &&
        event.step === what.step &&
        (what.component === undefined || event.component === what.component) &&
        Object.entries(what.detail).every(([key, value]) => String(event.detail[key]) === value)
      );
    case 'line':
      return event.kind === 'line' && what.line.test(event.text);
    case 'packet':
      return event.kind === 'packet' && event.packet === what.packet;
    case 'write':
      return (
        event.kind === 'write' &&
        (what.slot === undefined || event.slot === what.slot) &&
        event.stored === (what.stored ?? event.length)
      );
    case 'imager':
      return event.kind === 'imager' && event.state === what.state;
    case 'start':
      return false;
  }
}
