/**
 * Every step that an event of a scenario can be, and its details: what the rig does, what consoles say (rig/serial.ts,
 * agent/core/next.ts), and what the imager's servers tell its journal. A name that is not here never comes. Pure.
 */
import type { Component } from '../../../imager/journal/event.ts';

/** Of all that is seen at the node itself: how many times its firmware had started, seconds since power-on. */
const AT_NODE = ['boot', 'seconds'];
const AGENT = [...AT_NODE, 'uptime'];
/** What a client says of itself, and what it is given. */
const DHCP = [
  ...['arch', 'userClass', 'vendorClass', 'asked', 'subnet', 'relay', 'circuit', 'chosen'],
  ...['file', 'why', 'item', 'menu', 'server', 'seconds'],
];
const TFTP_END = ['file', 'bytes', 'seconds', 'resent'];
const HTTP_END = ['file', 'bytes', 'seconds'];

/** Steps by the component that tells of them, each with the keys that its details may have. */
export const STEPS: Readonly<Record<Component, Readonly<Record<string, readonly string[]>>>> = {
  rig: { 'power-on': AT_NODE, off: AT_NODE },
  firmware: {
    start: AT_NODE,
    pointer: [...AT_NODE, 'image', 'slot', 'attempts'],
    dhcp: [...AT_NODE, 'address'],
    load: [...AT_NODE, 'image'],
    boot: [...AT_NODE, 'image'],
    error: AT_NODE,
  },
  agent: {
    agent: AGENT,
    pointer: [...AGENT, 'image', 'booted', 'sequence', 'phase', 'attempts'],
    mounted: [...AGENT, 'disk'],
    'cut-short': [...AGENT, 'script'],
    plan: [...AGENT, 'scripts', 'secondReboot'],
    installed: AGENT,
    network: [...AGENT, 'adapter', 'mac', 'address', 'gateway'],
    'network-failed': [...AGENT, 'why'],
    stage1: [...AGENT, 'script', 'took'],
    services: [...AGENT, 'took'],
    stage2: [...AGENT, 'script', 'took'],
    reboot: [...AGENT, 'number'],
    'script-failed': [...AGENT, 'script', 'stage', 'policy', 'why'],
    ready: [...AGENT, 'image', 'failed'],
    retry: [...AGENT, 'why'],
    'fall-back': [...AGENT, 'why', 'image'],
    failed: [...AGENT, 'why'],
    tampered: [...AGENT, 'imager', 'image', 'why'],
  },
  dhcp: Object.fromEntries(
    [
      ...['discover', 'offer', 'request', 'ack', 'nak', 'decline', 'release', 'inform'],
      ...['bootp', 'bootp-reply', 'probe', 'dropped'],
    ].map((step) => [step, DHCP]),
  ),
  tftp: {
    'transfer-start': ['file', 'size', 'blksize', 'windowsize'],
    'transfer-end': TFTP_END,
    'transfer-failed': [...TFTP_END, 'message'],
    refused: ['file', 'message'],
  },
  http: {
    'transfer-start': ['file', 'size'],
    'transfer-end': [...HTTP_END, 'of'],
    'transfer-failed': HTTP_END,
    refused: ['file', 'why'],
  },
  nbd: {
    attach: ['export', 'size', 'readOnly', 'identity'],
    detach: ['export', 'requests', 'bytesRead', 'bytesWritten'],
    refused: ['export', 'why'],
  },
  imager: {
    flash: ['image', 'disks', 'deployment'],
    power: ['action', 'via'],
    resources: ['first', 'found', 'added', 'removed', 'changed', 'summary'],
  },
};

/** What is wrong with a step that is looked for; undefined where it can come. `key`: the detail that no such step has. */
export function stepFault(
  step: string,
  component: Component | undefined,
  details: readonly string[],
): { expected: string; key?: string } | undefined {
  const components = component === undefined ? (Object.keys(STEPS) as Component[]) : [component];
  const keys = components.flatMap((each) => {
    const steps = new Map(Object.entries(STEPS[each]));
    return steps.has(step) ? [steps.get(step)!] : [];
  });
  if (keys.length === 0) {
    const known = components.map((each) => `${each}: ${Object.keys(STEPS[each]).join(', ')}`);
    return { expected: `a step of ${known.join('; of ')}` };
  }
  // All of them are of one event.
  if (keys.some((each) => details.every((key) => each.includes(key)))) return undefined;
  const all = [...new Set(keys.flat())];
  const key = details.find((each) => !all.includes(each));
  if (key !== undefined) return { key, expected: `a detail of step ${step}: ${all.join(', ')}` };
  return { expected: `component: ${details.join(' and ')} are details of different ones` };
}
