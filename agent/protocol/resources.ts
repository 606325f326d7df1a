/**
 * What a node consists of, as its agent finds it at each join (seed 002, resource controllers). One shape for every kind, so
 * that differences are found, shown and bounded alike.
 */
import * as z from 'zod/mini';
import { lazily } from './lazily.ts';

export const RESOURCE_KINDS = [
  'adapter',
  'disk',
  'memory',
  'processor',
  'pci',
  'usb',
  'firmware',
  'pointer-store',
] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** What one message holds at most; the agent leaves out what is more, and says so. */
export const RESOURCE_LIMITS = { resources: 512, fields: 16, name: 32, key: 160, text: 128, faults: 32 };

const name = lazily(() => z.string().check(z.regex(/^[a-z][a-zA-Z0-9]{0,31}$/)));
const key = lazily(() => z.string().check(z.minLength(1), z.maxLength(RESOURCE_LIMITS.key)));
const text = lazily(() => z.string().check(z.maxLength(RESOURCE_LIMITS.text)));
const number = lazily(() => z.number().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER)));

const resource = lazily(() =>
  z.object({
    kind: z.enum(RESOURCE_KINDS),
    /** Unique within its kind, and the same as long as the thing is: an address on a bus, a MAC, a slot. */
    key: key(),
    fields: z
      .record(name(), z.union([text(), number(), z.boolean()]))
      .check(z.refine((fields) => Object.keys(fields).length <= RESOURCE_LIMITS.fields, 'too many fields')),
  }),
);

const fault = lazily(() =>
  z.object({
    /** What could not be read: a file, a folder, or a controller. */
    where: key(),
    why: text(),
  }),
);

/** Sent once the node has joined and its boot is over, and at each join after that. */
export const resourcesMessage = lazily(() =>
  z.object({
    type: z.literal('resources'),
    resources: z.array(resource()).check(z.maxLength(RESOURCE_LIMITS.resources)),
    faults: z.array(fault()).check(z.maxLength(RESOURCE_LIMITS.faults)),
  }),
);

export type Resource = z.infer<ReturnType<typeof resource>>;
export type ResourceFault = z.infer<ReturnType<typeof fault>>;
export type ResourcesMessage = z.infer<ReturnType<typeof resourcesMessage>>;
export type ResourceValue = Resource['fields'][string];

/** `name=eth0 mtu=1500`: for a terminal, through `plain`. */
export function fieldsText(fields: Resource['fields']): string {
  const value = (each: ResourceValue) =>
    typeof each === 'string' && /[\s"=]/.test(each) ? JSON.stringify(each) : String(each);
  return Object.entries(fields)
    .map(([name, each]) => `${name}=${value(each)}`)
    .join(' ');
}
