/** Steps: what a node reports of a boot, in order, until it is acknowledged; and how they are kept on its own disk. */
import * as z from 'zod/mini';
import { seconds, text, uint } from './fields.ts';
import { lazily } from './lazily.ts';

/** Longest name of a step and of what its detail has, in characters. */
export const MAX_STEP_NAME = 256;
/** Longest text of a detail, in characters. */
export const MAX_DETAIL_TEXT = 4096;

const shortText = lazily(() => text(MAX_STEP_NAME));

export const detail = lazily(() =>
  z.record(shortText(), z.union([text(MAX_DETAIL_TEXT), z.number(), z.boolean()])),
);

/** The boot that a step is of, where it is not the one of the hello: told once the imager answers again. */
const earlierBoot = lazily(() =>
  z.object({
    /** /proc/sys/kernel/random/boot_id of it. */
    id: shortText(),
    /** The image the firmware booted. */
    image: shortText(),
  }),
);

export const step = lazily(() =>
  z.object({
    type: z.literal('step'),
    /** Counts the steps of one boot from 1; sent again after a reconnection until acknowledged. */
    seq: uint(),
    step: shortText(),
    /** Seconds since that boot's kernel started. */
    uptime: seconds(),
    detail: z.optional(detail()),
    boot: z.optional(earlierBoot()),
  }),
);

/** Durable at the imager. `boot`: id of the earlier boot, where the step was of one. */
export const ack = lazily(() =>
  z.object({ type: z.literal('ack'), seq: uint(), boot: z.optional(shortText()) }),
);

/** The first frame of the file in which a node keeps steps; the others are steps, each with its boot. */
export const storedReport = lazily(() =>
  z.object({
    version: z.literal(1),
    /** Hardware UID of the node whose steps these are: a disk may come to another, or become the base of others. */
    uid: shortText(),
    /** Id of the boot that wrote it. */
    bootId: shortText(),
    /** No step of that boot has a higher number. */
    lastSeq: uint(),
    /** Steps that had to go before the imager had them. */
    dropped: uint(),
  }),
);

export type EarlierBoot = z.infer<ReturnType<typeof earlierBoot>>;
export type StoredReport = z.infer<ReturnType<typeof storedReport>>;
