/**
 * The messages of the agent protocol: one TCP connection, opened by the agent, frames of CBOR (frame.ts).
 * The agent speaks first (hello); the imager welcomes or refuses it and closes. After the welcome both sides
 * send as they please. What a side does not understand it answers by closing the connection.
 */
import * as z from 'zod/mini';
import { ack, type detail, type StoredReport, step, storedReport } from './step.ts';

export const PROTOCOL_VERSION = 2;

/** TCP port of the agent endpoint where the configuration names no other. */
export const AGENT_PORT = 4747;

const text = (max: number) => z.string().check(z.maxLength(max));
const uint = z.number().check(z.int(), z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const seconds = z.number().check(z.minimum(0), z.maximum(1e9));
const shortText = text(256);

/** What a boot pointer says of where to boot from; its limits are those of the record (pointer/record.ts). */
const target = {
  image: shortText,
  disks: z.array(shortText).check(z.maxLength(8)),
  imagers: z.array(shortText).check(z.maxLength(4)),
  cluster: shortText,
  deployment: shortText,
};

const pointer = z.object({
  sequence: uint,
  ...target,
  phase: z.enum(['deploy', 'ready']),
  attempts: uint,
  fallback: text(63),
});

const script = z.object({
  /** File name of the script, unique within its plan. */
  name: shortText,
  /** 1: before services, between the two reboots. 2: after services are up. */
  stage: z.union([z.literal(1), z.literal(2)]),
  /** Run by `/bin/sh` where it does not start with `#!`. */
  content: text(1024 * 1024),
  timeoutSeconds: seconds,
});

const plan = z.object({
  deployment: shortText,
  /** True: services start only after a second reboot (seed 001, double reboot). */
  secondReboot: z.boolean(),
  /** In the order they run. */
  scripts: z.array(script).check(z.maxLength(256)),
  services: z.object({
    /** What process 1 becomes on the disk. */
    init: z.array(shortText).check(z.minLength(1), z.maxLength(16)),
    /** TCP ports on the node that must accept a connection before stage 2 runs. */
    ports: z.array(uint).check(z.maxLength(16)),
    timeoutSeconds: seconds,
  }),
});

const agentMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    version: uint,
    uid: shortText,
    macs: z.array(shortText).check(z.maxLength(16)),
    /** /proc/sys/kernel/random/boot_id: another value means another boot. */
    bootId: shortText,
    /** Boot image the firmware booted: the pointer's, or its fallback. */
    bootedImage: shortText,
    /** The record the firmware obeys, null where the store holds none. */
    pointer: z.nullable(pointer),
    /** Seconds since the kernel started. */
    uptime: seconds,
  }),
  step,
  /** The boot went on and wrote this down in its pointer: attempts renewed, ready. */
  z.object({ type: z.literal('pointer'), pointer }),
  z.object({ type: z.literal('done'), request: uint, pointer: z.optional(pointer) }),
  z.object({ type: z.literal('failed'), request: uint, why: text(4096) }),
  z.object({ type: z.literal('ping') }),
]);

const imagerMessage = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    node: shortText,
    hostname: shortText,
    /** What to do for the deployment the pointer names; null where the imager knows nothing of it. */
    plan: z.nullable(plan),
  }),
  z.object({ type: z.literal('refuse'), why: text(4096) }),
  ack,
  z.object({ type: z.literal('flash'), request: uint, ...target }),
  z.object({ type: z.literal('power'), request: uint, action: z.enum(['reboot', 'poweroff']) }),
  z.object({ type: z.literal('pong') }),
]);

export type Plan = z.infer<typeof plan>;
export type Script = z.infer<typeof script>;
export type AgentMessage = z.infer<typeof agentMessage>;
export type ImagerMessage = z.infer<typeof imagerMessage>;
export type Hello = Extract<AgentMessage, { type: 'hello' }>;
export type Step = Extract<AgentMessage, { type: 'step' }>;
export type Flash = Extract<ImagerMessage, { type: 'flash' }>;
export type StepDetail = z.infer<typeof detail>;

/** A message of the right frame but the wrong content; `message` says which field and why. */
export class MessageError extends Error {}

/** Checks what an agent sent. Throws MessageError. */
export function parseAgentMessage(value: unknown): AgentMessage {
  return parse(agentMessage, value);
}

/** Checks what an imager sent. Throws MessageError. */
export function parseImagerMessage(value: unknown): ImagerMessage {
  return parse(imagerMessage, value);
}

/** Checks a plan read back from a journal. Throws MessageError. */
export function parsePlan(value: unknown): Plan {
  return parse(plan, value);
}

/** Checks what a node kept of a report: its first frame. Throws MessageError. */
export function parseStoredReport(value: unknown): StoredReport {
  return parse(storedReport, value);
}

/** Checks a step that was kept. Throws MessageError. */
export function parseStep(value: unknown): Step {
  return parse(step, value);
}

function parse<T>(schema: z.ZodMiniType<T>, value: unknown): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new MessageError(`${issue?.path.map(String).join('.') || 'message'}: ${issue?.message ?? 'invalid'}`);
}
