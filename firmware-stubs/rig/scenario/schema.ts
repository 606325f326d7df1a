/** Shape of a scenario's file; load.ts checks what its parts say of each other. Every leaf has its expectation in words. */
import * as z from 'zod';
import { parseUid } from '../../../agent/protocol/uid.ts';
import {
  flag,
  list,
  name,
  named,
  oneOf,
  oneOrList,
  section,
  text,
  whole,
  word,
} from '../../../imager/model/fields.ts';
import { configFile } from '../../../imager/model/schema.ts';
import { TRAFFIC } from './action.ts';
import { PACKETS } from './event.ts';
import { stepFault } from './steps.ts';

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m)$/;
const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000 };
const LONGEST_MS = 86_400_000;
/** One virtual disk of the EEPROM's size. */
const STORE_BYTES = 8192;

/** `500ms`, `1.5s`, `2m` as milliseconds; undefined where it is no such text. */
export function durationMs(value: string): number | undefined {
  const [, number, unit] = DURATION.exec(value) ?? [];
  const ms = number === undefined ? undefined : Number(number) * UNIT_MS[unit!]!;
  return ms !== undefined && ms <= LONGEST_MS ? ms : undefined;
}

const duration = text(
  'a duration such as 500ms, 1.5s or 2m',
  (value) => durationMs(value) !== undefined,
).transform((value) => durationMs(value)!);
const pattern = text('a regular expression', (value) => {
  try {
    return value !== '' && new RegExp(value) !== undefined;
  } catch {
    return false;
  }
}).transform((value) => new RegExp(value));
const mac = text('a MAC address such as 52:54:00:12:34:56', (value) =>
  /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(value),
);
const uid = text(
  'a hardware UID: a UUID such as 9f0c8a52-1c7e-4d1b-8f43-0a6d5b7c1e21, or serial:NUMBER',
  (value) => parseUid(value) !== undefined,
);
const seed = whole('a seed', 0, 0xffffffff);
const scalar = z.custom<string | number | boolean>(
  (value) => ['string', 'number', 'boolean'].includes(typeof value),
  { error: 'a text, a number, true or false' },
);

/** Keys of which a section has just one: what it is about. */
function oneKey<T extends object>(keys: readonly (keyof T & string)[]) {
  return (value: T, context: z.RefinementCtx<T>) => {
    if (keys.filter((key) => value[key] !== undefined).length === 1) return;
    context.addIssue({ code: 'custom', message: `just one of ${keys.join(', ')}` });
  };
}

/** Keys that mean something beside another one alone. */
function beside<T extends object>(key: keyof T & string, others: Record<string, (value: T) => boolean>) {
  return (value: T, context: z.RefinementCtx<T>) => {
    for (const [other, fits] of Object.entries(others))
      if (value[key] !== undefined && !fits(value))
        context.addIssue({ code: 'custom', path: [key], message: `nothing, except beside ${other}` });
  };
}

const EVENTS = ['step', 'line', 'packet', 'write', 'imager'] as const;

const eventSection = section({
  node: name('a node name').optional(),
  step: word.optional(),
  component: oneOf(['rig', 'firmware', 'dhcp', 'tftp', 'http', 'nbd', 'agent', 'imager']).optional(),
  detail: named(z.record(z.string(), scalar, { error: 'a section of details of a step' })).optional(),
  line: pattern.optional(),
  packet: oneOf(PACKETS).optional(),
  /** A slot of the pointer store. */
  write: z
    .custom<0 | 1 | 'any'>((value) => value === 0 || value === 1 || value === 'any', { error: '0, 1 or any' })
    .optional(),
  stored: whole('a number of bytes', 1, STORE_BYTES).optional(),
  imager: oneOf(['started', 'stopped', 'killed']).optional(),
})
  .superRefine(oneKey(EVENTS))
  .superRefine(beside('component', { step: ({ step }) => step !== undefined }))
  .superRefine(beside('detail', { step: ({ step }) => step !== undefined }))
  .superRefine(beside('stored', { write: ({ write }) => write !== undefined }))
  .superRefine(beside('node', { 'anything but imager': ({ imager }) => imager === undefined }))
  .superRefine(({ step, component, detail = {} }, context) => {
    const fault = step === undefined ? undefined : stepFault(step, component, Object.keys(detail));
    if (fault === undefined) return;
    const { key, expected: message } = fault;
    if (key === undefined) context.addIssue({ code: 'custom', path: ['step'], message });
    else
      context.addIssue({ code: 'unrecognized_keys', keys: [key], path: ['detail'], message, input: detail });
  });
export type EventFile = z.infer<typeof eventSection>;

/** `start`, or an event. */
const trigger = z.unknown().transform((value, context): EventFile | 'start' => {
  if (value === 'start') return value;
  const parsed = eventSection.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues)
    context.issues.push({
      ...issue,
      ...(issue.path.length === 0 && typeof value === 'string' ? { message: 'start, or an event' } : {}),
      input: value,
    } as never);
  return z.NEVER;
});

const ACTIONS = ['power', 'flash', 'network', 'imager', 'cable', 'write'] as const;

const action = section({
  node: name('a node name').optional(),
  power: oneOf(['on', 'cut', 'cycle']).optional(),
  off: duration.optional(),
  flash: section({
    image: name('a boot image'),
    disks: list('disks, the root disk first', name('a disk'), 1, 8).optional(),
  }).optional(),
  network: oneOf(['drop', 'delay', 'heal']).optional(),
  traffic: oneOf(TRAFFIC).optional(),
  by: duration.optional(),
  for: duration.optional(),
  imager: oneOf(['start', 'stop', 'kill']).optional(),
  cable: oneOf(['pull', 'plug']).optional(),
  write: section({
    offset: whole('an offset in the pointer store', 0, STORE_BYTES - 1),
    hex: text('bytes in hexadecimal such as 00ff', (value) => /^(?:[0-9a-f]{2})+$/i.test(value)),
  })
    .superRefine(({ offset, hex }, context) => {
      const room = STORE_BYTES - offset;
      if (hex.length > 2 * room)
        context.addIssue({
          code: 'custom',
          path: ['hex'],
          message: `at most ${room} bytes: the pointer store has ${STORE_BYTES}`,
        });
    })
    .optional(),
})
  .superRefine(oneKey(ACTIONS))
  .superRefine(beside('off', { 'power: cycle': ({ power }) => power === 'cycle' }))
  .superRefine(
    beside('traffic', { 'network: drop, delay': ({ network }) => network === 'drop' || network === 'delay' }),
  )
  .superRefine(beside('by', { 'network: delay': ({ network }) => network === 'delay' }))
  .superRefine(
    beside('for', { 'network: drop, delay': ({ network }) => network === 'drop' || network === 'delay' }),
  )
  .superRefine(beside('node', { 'anything but imager': ({ imager }) => imager === undefined }))
  .superRefine((value, context) => {
    if (value.network === 'delay' && value.by === undefined)
      context.addIssue({
        code: 'custom',
        path: ['by'],
        message: 'a duration: how long packets are held back',
      });
  });
export type ActionFile = z.infer<typeof action>;

const scriptItem = section({
  on: trigger,
  nth: whole('which one of those that fit', 1, 1_000_000).default(1),
  after: duration.default(0),
  do: oneOrList('actions', action, 32),
});

const POINTER = {
  image: name('a boot image'),
  disks: list('disks, the root disk first', name('a disk'), 1, 8),
  phase: oneOf(['deploy', 'ready']),
  attempts: whole('attempts', 0, 255),
  fallback: text(
    'a boot image, or an empty text',
    (value) => value === '' || /^[a-z0-9._-]{1,63}$/.test(value),
  ),
};

const EXPECTATIONS = ['on', 'once', 'never', 'count', 'pointer', 'image'] as const;

const expectation = section({
  on: eventSection.optional(),
  within: duration.optional(),
  once: eventSection.optional(),
  never: eventSection.optional(),
  count: eventSection.optional(),
  times: whole('a number of times', 0, 1_000_000).optional(),
  pointer: z.strictObject(POINTER).partial().optional(),
  image: name('a boot image').optional(),
  node: name('a node name').optional(),
})
  .superRefine(oneKey(EXPECTATIONS))
  .superRefine(beside('within', { on: ({ on }) => on !== undefined }))
  .superRefine(beside('times', { count: ({ count }) => count !== undefined }))
  .superRefine(beside('count', { times: ({ times }) => times !== undefined }))
  .superRefine(
    beside('node', { 'pointer, image': ({ pointer, image }) => (pointer ?? image) !== undefined }),
  );
export type ExpectationFile = z.infer<typeof expectation>;

const node = section({
  name: name('a node name'),
  rig: oneOf(['arm64', 'x86']),
  firmware: oneOf([
    'ipxe-bios',
    'ipxe-uefi',
    'uefi-pxe',
    'uefi-http',
    'uboot-x86',
    'bios-stub',
    'uefi-stub',
  ]).optional(),
  mac: mac.optional(),
  uid: uid.optional(),
  pointer: section({
    ...POINTER,
    phase: POINTER.phase.default('deploy'),
    attempts: POINTER.attempts.default(3),
    fallback: POINTER.fallback.default(''),
  }).optional(),
});
export type NodeFile = z.infer<typeof node>;

const cuts = section({
  random: whole('a number of cuts', 1, 1000),
  node: name('a node name').optional(),
  between: z.tuple([eventSection, eventSection], { error: 'two events: [FROM, TO]' }),
  spread: duration,
  off: duration.default(500),
});

/** A path, or the content of a configuration file without `state`. */
const imager = z.unknown().transform((value, context) => {
  if (typeof value === 'string' && value !== '') return value;
  const parsed = configFile.partial({ state: true }).safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: value } as never);
  return z.NEVER;
});

export const scenarioFile = section({
  name: word,
  seed: seed.default(1),
  timeout: duration.default(300_000),
  images: named(
    z.record(name('a boot image'), section({ boots: flag.default(true) }), {
      error: 'a section of boot images, each under its name',
    }),
  ),
  nodes: list('nodes', node, 1, 64),
  imager,
  script: list('script items: on, do', scriptItem, 1, 1000),
  expect: list('expectations', expectation, 1, 1000),
  cuts: cuts.optional(),
});
export type ScenarioFile = z.infer<typeof scenarioFile>;
