/** What sections of the configuration file are made of. Every leaf carries its expectation in words. */
import * as z from 'zod';
import { isIpv4 } from '../../agent/protocol/ipv4.ts';
import { isName } from '../../agent/protocol/names.ts';

/** Text that `test` accepts; `expected` says what it is to be. */
export function text(expected: string, test: (value: string) => boolean) {
  return z.custom<string>((value) => typeof value === 'string' && test(value), {
    // YAML makes a number of 0x1a2b and of a serial number without letters.
    error: ({ input }) =>
      (typeof input === 'number' || typeof input === 'boolean') && test(String(input))
        ? `${expected}, in quotes`
        : expected,
  });
}

/** A whole number; `expected` says of what. */
export function whole(expected: string, min: number, max: number) {
  return z.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    {
      error: `${expected}, a whole number from ${min} to ${max}`,
    },
  );
}

/** An object that takes the keys of `shape` and no others. */
export function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `one of ${Object.keys(shape).join(', ')}`
        : `a section with ${Object.keys(shape).join(', ')}`,
  });
}

/** A list; `of` says of what. */
export function list<T extends z.ZodType>(of: string, item: T, min = 0, max = 4096) {
  return z
    .array(item, { error: `a list of ${of}` })
    .min(min, { error: `a list of at least ${min} ${of}` })
    .max(max, { error: `a list of at most ${max} ${of}` });
}

/**
 * A record whose keys the operator chose. What YAML reads as the key `__proto__` zod leaves out of records without a
 * word: it is a fault.
 */
export function named<T extends z.ZodType>(record: T) {
  const own = z.unknown().superRefine((value, context) => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__')) return;
    const issues = [{ code: 'custom' as const, path: [], input: value, message: 'another name' }];
    context.addIssue({ code: 'invalid_key', origin: 'record', path: ['__proto__'], input: value, issues });
  });
  return own.pipe(record);
}

/** One value or a list of such, each with faults at its own place. */
export function oneOrList<T extends z.ZodType>(of: string, item: T, max: number) {
  const many = list(of, item, 0, max);
  return z.unknown().transform((value, context): z.output<T> | z.output<T>[] => {
    const parsed = Array.isArray(value) ? many.safeParse(value) : item.safeParse(value);
    if (parsed.success) return parsed.data as z.output<T> | z.output<T>[];
    for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: value } as never);
    return z.NEVER;
  });
}

export const name = (what: string) =>
  text(`${what}: 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit`, isName);
export const address = text('an IPv4 address such as 10.77.0.11', isIpv4);
export const port = (what: string) => whole(`port of ${what}`, 0, 65535);
export const seconds = whole('a number of seconds', 1, 86_400);
export const word = text('a non-empty text', (value) => value !== '' && !value.includes('\0'));
export const command = list('words: the program and its arguments', word, 1, 64);
export const flag = z.custom<boolean>((value) => typeof value === 'boolean', { error: 'true or false' });

/** One of `words`. */
export function oneOf<const T extends string>(words: readonly T[]) {
  return z.custom<T>((value) => words.includes(value as T), { error: `one of ${words.join(', ')}` });
}

const HEX = /^(?:0x(?:[0-9a-f]{2})+|[0-9a-f]{2}(?::[0-9a-f]{2})+)$/i;

/**
 * Octets as people have them: hexadecimal, with 0x in front or colons between (`01:52:54:00:12:34:56`), else ASCII text
 * standing for itself. The value is lower-case hexadecimal. `what` names it in the fault.
 */
export function octets(what: string, max: number) {
  return text(
    `${what}: hexadecimal such as 0x1a2b or 1a:2b, or printable ASCII text; at most ${max} bytes`,
    (value) => /^[\x20-\x7e]+$/.test(value) && octetsToHex(value).length <= 2 * max,
  ).transform(octetsToHex);
}

function octetsToHex(value: string): string {
  return HEX.test(value)
    ? value.replace(/^0x/i, '').replaceAll(':', '').toLowerCase()
    : Buffer.from(value, 'latin1').toString('hex');
}
