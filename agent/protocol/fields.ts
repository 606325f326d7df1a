/** Kinds of fields that the messages have in common. */
import * as z from 'zod/mini';
import { lazily } from './lazily.ts';

/** A text of at most `max` characters. */
export const text = (max: number) => z.string().check(z.maxLength(max));

/** From 0 to the largest whole number that JavaScript has exactly. */
export const uint = lazily(() => z.number().check(z.int(), z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER)));

/** ECDSA over P-256: r and s of 32 bytes each. What is shorter reaches whoever checks it, and is wrong there. */
export const signature = lazily(() =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= 64, {
    error: 'no signature',
  }),
);

export const seconds = lazily(() => z.number().check(z.minimum(0), z.maximum(1e9)));
