/** What a node says of its network adapters from time to time, and the datagrams with which it tries their paths. */
import * as z from 'zod/mini';
import { text, uint } from './fields.ts';
import { lazily } from './lazily.ts';

/** Longest time there and back that is told. */
export const MAX_ROUND_TRIP_MS = 60_000;

/** Since the heartbeat before. */
const traffic = lazily(() => z.object({ packets: uint(), errors: uint() }));

const adapter = lazily(() =>
  z.object({
    /** As the kernel names it. */
    name: text(16),
    mac: text(32),
    /** IPv4, null where it has none. */
    address: z.nullable(text(15)),
    carrier: z.boolean(),
    /** The kernel's operstate (RFC 2863, ifOperStatus). */
    operstate: text(16),
    /** Mbit/s, null where the driver does not say. */
    speed: z.nullable(uint()),
    received: traffic(),
    sent: traffic(),
    /** Whether a datagram sent out of this adapter came back from the imager; `untried` where it has no address. */
    path: z.enum(['up', 'down', 'untried']),
    /** Milliseconds that took; null where it did not come back. */
    roundTrip: z.nullable(z.number().check(z.minimum(0), z.maximum(MAX_ROUND_TRIP_MS))),
  }),
);

/** Says that the node is there; the imager answers it with `pong`. */
export const heartbeat = lazily(() =>
  z.object({
    type: z.literal('heartbeat'),
    adapters: z.array(adapter()).check(z.maxLength(16)),
  }),
);

export type Adapter = z.infer<ReturnType<typeof adapter>>;
export type Heartbeat = z.infer<ReturnType<typeof heartbeat>>;

/** Seconds between two heartbeats where the imager says no other. */
export const HEARTBEAT_SECONDS = 10;

/** Bytes of a nonce. */
export const NONCE_SIZE = 16;
const ASKS = [0x42, 0x57, 0x50, 0x31];
const ANSWERS = [0x42, 0x57, 0x41, 0x31];

/** The datagram that tries a path, to the imager's agent port: "BWP1" and a nonce. */
export function encodeProbe(nonce: Uint8Array): Uint8Array {
  return Uint8Array.of(...ASKS, ...nonce);
}

/** The answer to a datagram, "BWA1" and its nonce, as long as what came in; undefined where that is no probe. */
export function answerToProbe(datagram: Uint8Array): Uint8Array | undefined {
  return startsWith(datagram, ASKS)
    ? Uint8Array.of(...ANSWERS, ...datagram.subarray(ASKS.length))
    : undefined;
}

export function isAnswerTo(nonce: Uint8Array, datagram: Uint8Array): boolean {
  return startsWith(datagram, ANSWERS) && nonce.every((byte, at) => datagram[ANSWERS.length + at] === byte);
}

function startsWith(datagram: Uint8Array, magic: readonly number[]): boolean {
  return datagram.length === magic.length + NONCE_SIZE && magic.every((byte, at) => datagram[at] === byte);
}
