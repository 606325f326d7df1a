/**
 * Messages with which a node's definition to a cluster is made, compared, corrected and erased (seed 002, figures 11 to
 * 15). All of them may come more than once: who did already what is asked does nothing and says that it is done.
 */
import * as z from 'zod/mini';
import type { Definition } from './definition.ts';
import { text, uint } from './fields.ts';
import { lazily } from './lazily.ts';
import { isUuid, KEY_BYTES, MAX_NUMBER, SIGNER_BYTES } from './local-content.ts';

const number = lazily(() => z.number().check(z.int(), z.minimum(1), z.maximum(MAX_NUMBER)));
const uuid = lazily(() => z.string().check(z.refine(isUuid, { error: 'no UUID' })));
const name = lazily(() => text(63).check(z.minLength(1)));
const uid = lazily(() => text(256));
// Copied: what the decoder gives may be part of a buffer that also holds the rest of the frame.
const bytes = (size: number) =>
  z.pipe(
    z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === size, {
      error: `not ${size} bytes`,
    }),
    z.transform((value: Uint8Array): Uint8Array => new Uint8Array(value)),
  );

/** What a node says of a definition it keeps: all but the key, which never leaves it. */
export const localDefinition = lazily(() =>
  z.object({
    id: uuid(),
    /** Id of the cluster. */
    cluster: uuid(),
    number: number(),
    name: name(),
    uid: uid(),
  }),
);

export type LocalDefinition = z.infer<ReturnType<typeof localDefinition>>;

/** What `definition` is told as. */
export function toldOf({ id, cluster, number, name, uid }: Definition): LocalDefinition {
  return { id, cluster: cluster.id, number, name, uid };
}

export const definition = lazily(() =>
  z.object({
    id: uuid(),
    cluster: z.object({ name: name(), id: uuid() }),
    number: number(),
    name: name(),
    uid: uid(),
    imagers: z.array(text(64)).check(z.maxLength(8)),
    key: bytes(KEY_BYTES),
    signer: bytes(SIGNER_BYTES),
  }),
);

/** What an imager may ask of a node's local store; answered by `identified`, `done` or `failed`. */
export const membershipRequests = {
  /** Who are you, and what do you know of this cluster? (figure 13, step 2) */
  identify: lazily(() => z.object({ type: z.literal('identify'), request: uint(), cluster: uuid() })),
  /** Keep this definition, in the place of what there is of its cluster (step 11). */
  commit: lazily(() => z.object({ type: z.literal('commit'), request: uint(), definition: definition() })),
  /** Forget the definition of this id. */
  erase: lazily(() => z.object({ type: z.literal('erase'), request: uint(), definition: uuid() })),
  /** Put `to` in the place of the hardware UID that is kept in the definition of this id. */
  correct: lazily(() =>
    z.object({ type: z.literal('correct'), request: uint(), definition: uuid(), to: uid() }),
  ),
};

/** Step 3: the UID of this machine, and the definition it keeps of the cluster. */
export const identified = lazily(() =>
  z.object({
    type: z.literal('identified'),
    request: uint(),
    uid: uid(),
    local: z.nullable(localDefinition()),
  }),
);

export type MembershipRequest = z.infer<
  ReturnType<(typeof membershipRequests)[keyof typeof membershipRequests]>
>;
export type Identified = z.infer<ReturnType<typeof identified>>;
