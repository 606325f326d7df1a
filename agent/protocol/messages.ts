/**
 * The messages of the agent protocol: one TCP connection, opened by the agent, frames of CBOR (frame.ts).
 * The agent speaks first (hello); the imager welcomes or refuses it and closes. After the welcome both sides
 * send as they please. What a side does not understand it answers by closing the connection.
 */
import * as z from 'zod/mini';
import { adapterSetting } from './adapter-setting.ts';
import { seconds, signature, text, uint } from './fields.ts';
import { heartbeat } from './heartbeat.ts';
import { lazily } from './lazily.ts';
import { identified, localDefinition, membershipRequests } from './membership.ts';
import { isName } from './names.ts';
import { outputKept, outputMessage } from './output.ts';
import { resourcesMessage } from './resources.ts';
import { signedImage } from './signed-image.ts';
import { ack, type detail, type StoredReport, step, storedReport } from './step.ts';

export const PROTOCOL_VERSION = 2;

/** TCP port of the agent endpoint where the configuration names no other. */
export const AGENT_PORT = 4747;

const shortText = lazily(() => text(256));

/** What a boot pointer says of where to boot from; its limits are those of the record (pointer/record.ts). */
const target = lazily(() => ({
  image: shortText(),
  disks: z.array(shortText()).check(z.maxLength(8)),
  imagers: z.array(shortText()).check(z.maxLength(4)),
  cluster: shortText(),
  deployment: shortText(),
}));

const pointer = lazily(() =>
  z.object({
    sequence: uint(),
    ...target(),
    phase: z.enum(['deploy', 'ready']),
    attempts: uint(),
    fallback: text(63),
  }),
);

const script = lazily(() =>
  z.object({
    /** File name of the script, unique within its plan. */
    name: shortText(),
    /** 1: before services, between the two reboots. 2: after services are up. */
    stage: z.union([z.literal(1), z.literal(2)]),
    /** Run by `/bin/sh` where it does not start with `#!`. */
    content: text(1024 * 1024),
    timeoutSeconds: seconds(),
    /** `once`: never again once it has ended well. `always`: in each boot that comes to its stage. */
    run: z._default(z.enum(['once', 'always']), 'once'),
    /**
     * What becomes of a boot in which it fails. `retry`: booted again while the firmware has attempts, then its fallback image;
     * up for investigation where there is neither. `fall-back`: the fallback image at once. `stop`: up for investigation.
     * `continue`: noted, and on.
     */
    onFailure: z._default(z.enum(['retry', 'fall-back', 'stop', 'continue']), 'retry'),
  }),
);

const plan = lazily(() =>
  z.object({
    deployment: shortText(),
    /** True: services start only after a second reboot (seed 001, double reboot). */
    secondReboot: z.boolean(),
    /** In the order they run. */
    scripts: z.array(script()).check(z.maxLength(256)),
    services: z.object({
      /** What process 1 becomes on the disk. */
      init: z.array(shortText()).check(z.minLength(1), z.maxLength(16)),
      /** TCP ports on the node that must accept a connection before stage 2 runs. */
      ports: z.array(uint()).check(z.maxLength(16)),
      timeoutSeconds: seconds(),
    }),
    /** Of adapters that are not left as the firmware had them. */
    adapters: z.optional(z.array(adapterSetting()).check(z.maxLength(16))),
    /** Over planBytes() (signed.ts), for nodes that have a definition. */
    signature: z.optional(signature()),
  }),
);

/** By its type; each is made when one comes. */
const agentMessages = {
  hello: lazily(() =>
    z.object({
      type: z.literal('hello'),
      version: uint(),
      uid: shortText(),
      macs: z.array(shortText()).check(z.maxLength(16)),
      /** /proc/sys/kernel/random/boot_id: another value means another boot. */
      bootId: shortText(),
      /** This agent among all that have its key: drawn at its start. */
      instance: z.optional(text(36)),
      /** Boot image the firmware booted: the pointer's, or its fallback. */
      bootedImage: shortText(),
      /** The record the firmware obeys, null where the store holds none. */
      pointer: z.nullable(pointer()),
      /** Seconds since the kernel started. */
      uptime: seconds(),
      /** The definition of the cluster it is online in, null where it has none. */
      local: z.nullable(localDefinition()),
      /** Whether it can keep a definition at all: some have nowhere to. */
      keeps: z.boolean(),
      /** The disk on which it keeps one; left out where that is beside its boot pointer, or on a system's own disk. */
      keptOn: z.optional(z.string().check(z.refine(isName, { error: 'no name' }))),
    }),
  ),
  step,
  output: outputMessage,
  /** The boot went on and wrote this down in its pointer: attempts renewed, ready. */
  pointer: lazily(() => z.object({ type: z.literal('pointer'), pointer: pointer() })),
  done: lazily(() =>
    z.object({
      ...{ type: z.literal('done'), request: uint() },
      /** Of a flash: what was written and read back, and what the store held until then, null for nothing. */
      pointer: z.optional(pointer()),
      former: z.optional(z.nullable(pointer())),
    }),
  ),
  failed: lazily(() =>
    z.object({
      ...{ type: z.literal('failed'), request: uint(), why: text(4096) },
      /** Nothing was changed: the node is as it was before it was asked. */
      untouched: z.optional(z.boolean()),
    }),
  ),
  heartbeat,
  identified,
  resources: resourcesMessage,
};

const imagerMessages = {
  welcome: lazily(() =>
    z.object({
      type: z.literal('welcome'),
      node: shortText(),
      hostname: shortText(),
      /** What to do for the deployment the pointer names; null where the imager knows nothing of it. */
      plan: z.nullable(plan()),
      /** How often it wants to hear heartbeats. */
      heartbeatSeconds: z.optional(seconds().check(z.minimum(0.05))),
    }),
  ),
  refuse: lazily(() => z.object({ type: z.literal('refuse'), why: text(4096) })),
  /** Another agent has this node's place: it is at work, or a copy of this one's key is. */
  replaced: lazily(() => z.object({ type: z.literal('replaced'), why: text(4096) })),
  ack,
  kept: outputKept,
  flash: lazily(() =>
    z.object({
      type: z.literal('flash'),
      request: uint(),
      ...target(),
      /** For nodes that have a definition. */
      signed: z.optional(signedImage()),
    }),
  ),
  power: lazily(() =>
    z.object({ type: z.literal('power'), request: uint(), action: z.enum(['reboot', 'poweroff']) }),
  ),
  pong: lazily(() => z.object({ type: z.literal('pong') })),
  ...membershipRequests,
};

type MessageOf<Schemas extends Record<string, () => z.ZodMiniType>> = z.infer<
  ReturnType<Schemas[keyof Schemas]>
>;

export type Plan = z.infer<ReturnType<typeof plan>>;
export type Script = z.infer<ReturnType<typeof script>>;
export type AgentMessage = MessageOf<typeof agentMessages>;
export type ImagerMessage = MessageOf<typeof imagerMessages>;
export type Hello = Extract<AgentMessage, { type: 'hello' }>;
export type Step = Extract<AgentMessage, { type: 'step' }>;
export type OutputMessage = Extract<AgentMessage, { type: 'output' }>;
export type Flash = Extract<ImagerMessage, { type: 'flash' }>;
export type StepDetail = z.infer<ReturnType<typeof detail>>;

/** A message of the right frame but the wrong content; `message` says which field and why. */
export class MessageError extends Error {}

/** Checks what an agent sent. Throws MessageError. */
export function parseAgentMessage(value: unknown): AgentMessage {
  return parseMessage<AgentMessage>(agentMessages, value);
}

/** Checks what an imager sent. Throws MessageError. */
export function parseImagerMessage(value: unknown): ImagerMessage {
  return parseMessage<ImagerMessage>(imagerMessages, value);
}

/** Checks a plan read back from a journal. Throws MessageError. */
export function parsePlan(value: unknown): Plan {
  return parse(plan(), value);
}

/** Checks what a node kept of a report: its first frame. Throws MessageError. */
export function parseStoredReport(value: unknown): StoredReport {
  return parse(storedReport(), value);
}

/** Checks a step that was kept. Throws MessageError. */
export function parseStep(value: unknown): Step {
  return parse(step(), value);
}

function parseMessage<T>(schemas: Record<string, () => z.core.$ZodType<T>>, value: unknown): T {
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  const schema = typeof type === 'string' && Object.hasOwn(schemas, type) ? schemas[type] : undefined;
  if (schema === undefined) throw new MessageError('type: not one of this protocol');
  return parse(schema(), value);
}

function parse<T>(schema: z.core.$ZodType<T>, value: unknown): T {
  const result = z.safeParse(schema, value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new MessageError(`${issue?.path.map(String).join('.') || 'message'}: ${issue?.message ?? 'invalid'}`);
}
