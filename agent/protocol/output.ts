/**
 * What a user-configuration script left when it ended: kept on the node's disk (linux/outputs.ts), told to the imager in a
 * message `output`, kept there. Both sides know it by deployment and script: the later run takes the place of the former.
 */
import * as z from 'zod/mini';
import { seconds, text, uint } from './fields.ts';
import { lazily } from './lazily.ts';
import { isScriptName } from './names.ts';

/** Longest output that is kept, in bytes of UTF-8: of a longer one its end. */
export const OUTPUT_BYTES = 64 * 1024;

const ending = lazily(() => ({
  deployment: text(256),
  /** Kernel boot id of the boot it ran in. */
  bootId: text(256),
  stage: z.union([z.literal(1), z.literal(2)]),
  /** Exit code, 128 + signal number where a signal ended it. */
  code: uint(),
  /** It had not ended by its time limit, and was ended with all its process group. */
  timedOut: z.boolean(),
  /** Seconds since the kernel started: when it began. */
  began: seconds(),
  /** Seconds it took. */
  took: seconds(),
}));

/** How it ended: the first line of a kept output. */
export const scriptEnding = lazily(() => z.object(ending()));

/** `output` has standard output and error as they came. */
export const scriptOutput = lazily(() =>
  z.object({
    script: z.string().check(z.refine(isScriptName)),
    ...ending(),
    output: text(OUTPUT_BYTES),
  }),
);

/** Sent again, after a reconnection and in later boots, until it is known to be kept. */
export const outputMessage = lazily(() => z.object({ type: z.literal('output'), ...scriptOutput().shape }));

/** What the script left in that boot is durable at the imager. */
export const outputKept = lazily(() =>
  z.object({ type: z.literal('kept'), script: text(256), bootId: text(256) }),
);

export type ScriptEnding = z.infer<ReturnType<typeof scriptEnding>>;
export type ScriptOutput = z.infer<ReturnType<typeof scriptOutput>>;
