/** Events and actions in words: what a report says of them. Pure. */

import type { RigAction } from './action.ts';
import type { RigEvent } from './event.ts';
import type { EventPattern } from './scenario.ts';

/** `n1 step load`, `n1 line /half way/`: what an event must be to fit. */
export function patternWords({ node, what }: Pick<EventPattern, 'node' | 'what'>): string {
  return [node, whatWords(what)].filter((part) => part !== undefined).join(' ');
}

function whatWords(what: EventPattern['what']): string {
  switch (what.kind) {
    case 'step': {
      const detail = Object.entries(what.detail).map(([key, value]) => `${key}=${value}`);
      return [...(what.component === undefined ? [] : [what.component]), 'step', what.step, ...detail].join(
        ' ',
      );
    }
    case 'line':
      return `line ${what.line}`;
    case 'packet':
      return `packet ${what.packet}`;
    case 'write':
      return [
        what.stored === undefined ? 'write' : `${what.stored} bytes written`,
        ...(what.slot === undefined ? [] : [`slot ${what.slot}`]),
      ].join(', ');
    case 'imager':
      return `imager ${what.state}`;
    case 'start':
      return 'start';
  }
}

/** One event as a line of a report shows it. */
export function eventWords(event: RigEvent): string {
  const node = event.node === undefined ? [] : [event.node];
  switch (event.kind) {
    case 'step': {
      const detail = Object.entries(event.detail)
        .filter(([key]) => !['boot', 'seconds', 'uptime'].includes(key))
        .map(([key, value]) => `${key}=${value}`);
      const reason = event.reason === undefined ? [] : [`(${event.reason})`];
      return [...node, event.component, event.step, ...detail, ...reason].join(' ');
    }
    case 'line':
      return [...node, '|', event.text].join(' ');
    case 'packet':
      return [...node, 'packet', event.packet].join(' ');
    case 'write':
      return [...node, `slot ${event.slot}: ${event.stored} of ${event.length} bytes written`].join(' ');
    case 'imager':
      return `imager ${event.state}`;
  }
}

/** `power cut of n1`. */
export function actionWords(action: RigAction): string {
  switch (action.kind) {
    case 'power':
      return action.power === 'on' ? `power on, ${action.node}` : `power cut, ${action.node}`;
    case 'flash':
      return `flash ${action.node}: image ${action.image}, disks ${action.disks.join(', ')}`;
    case 'network':
      if (action.network === 'heal') return `network of ${action.node} heals`;
      if (action.network === 'drop') return `network of ${action.node} drops ${action.traffic}`;
      return `network of ${action.node} delays ${action.traffic} by ${action.delayMs} ms`;
    case 'imager':
      return `imager ${action.imager}`;
    case 'cable':
      return `serial cable of ${action.node}: ${action.cable}`;
    case 'write':
      return `write ${action.bytes.length} bytes at ${action.offset} into the store of ${action.node}`;
  }
}

/** `1.234 s` */
export function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(3))} s`;
}
