/** Agent frames: length, CBOR, message, in pieces as TCP brings them; both sides' messages. */
import { encodeFrame, FrameError, FrameReader, MAX_AGENT_FRAME } from '../../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type ImagerMessage,
  MessageError,
  parseAgentMessage,
  parseImagerMessage,
} from '../../../agent/protocol/messages.ts';
import { promise, refusable, type Target } from '../target.ts';

const POINTER = {
  sequence: 7,
  image: 'debian-12',
  disks: ['node1-root'],
  imagers: ['10.77.0.1'],
  cluster: 'lab',
  deployment: 'd1',
  phase: 'deploy' as const,
  attempts: 3,
  fallback: '',
};
const SAID: AgentMessage[] = [
  {
    type: 'hello',
    version: 2,
    uid: '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f6ff',
    macs: ['52:54:00:77:00:11'],
    bootId: '0b5d4e7f-8a91-4b2c-93d4-e5f6016f1a2c',
    bootedImage: 'debian-12',
    instance: '0.4375',
    pointer: POINTER,
    uptime: 2.53,
    local: null,
    keeps: false,
  },
  {
    type: 'step',
    seq: 3,
    step: 'stage1',
    uptime: 3.25,
    detail: { script: '10-site.sh', took: 0.1, ok: true },
  },
  {
    ...{ type: 'output', script: '10-site.sh', deployment: 'd1', bootId: 'b', stage: 1, code: 3 },
    ...{ timedOut: false, began: 2.5, took: 0.125, output: 'no such disk\n' },
  },
  { type: 'pointer', pointer: POINTER },
  { type: 'done', request: 1, pointer: POINTER },
  { type: 'failed', request: 2, why: 'boot pointer not verified' },
  { type: 'heartbeat', adapters: [] },
  {
    type: 'resources',
    resources: [
      { kind: 'adapter', key: '52:54:00:77:00:11', fields: { name: 'eth0', mtu: 1500, carrier: true } },
      { kind: 'memory', key: 'total', fields: { bytes: 536_870_912 } },
    ],
    faults: [{ where: '/sys/class/net/eth1', why: 'EIO' }],
  },
];
const { sequence: _sequence, phase: _phase, attempts: _attempts, fallback: _fallback, ...TARGET } = POINTER;
const HEARD: ImagerMessage[] = [
  {
    type: 'welcome',
    node: 'node1',
    hostname: 'node1',
    plan: {
      deployment: 'd1',
      secondReboot: true,
      scripts: [
        {
          name: '10-site.sh',
          stage: 1,
          content: '#!/bin/sh\nexit 0\n',
          timeoutSeconds: 60,
          run: 'always',
          onFailure: 'continue',
        },
      ],
      services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 60 },
    },
  },
  { type: 'refuse', why: 'not configured' },
  { type: 'replaced', why: 'another agent' },
  { type: 'ack', seq: 3 },
  { type: 'kept', script: '10-site.sh', bootId: 'b' },
  {
    ...{ type: 'flash', request: 1, ...TARGET },
    signed: {
      ...{ port: 80, signature: new Uint8Array(64) },
      files: [{ name: 'kernel', bytes: 12_000_000, sha256: 'ab'.repeat(32) }],
    },
  },
  { type: 'power', request: 2, action: 'reboot' },
  { type: 'pong' },
];
const LENGTH_SIZE = 4;
/** Deep nesting, endless lengths, tags, dates, big numbers, a key of a prototype. */
const TOKENS = [
  '818181818181',
  'bf',
  '9f',
  '7f',
  'ff',
  'c0',
  'c249ffffffffffffffffff',
  'fb7ff8000000000000',
  '1bffffffffffffffff',
  'd8404100',
  'd9dffe83',
  'a1695f5f70726f746f5f5fa0',
];

export function frameTarget(): Target {
  return {
    seeds: [...SAID, ...HEARD, [...SAID, 1.5, -1, null, new Uint8Array(9)]].map((message) =>
      encodeFrame(message),
    ),
    tokens: TOKENS.map((hex) => Buffer.from(hex, 'hex')),
    maxLength: MAX_AGENT_FRAME + 64,
    take(bytes) {
      // The right length for most: what comes behind it is to be fuzzed as well.
      if (bytes.length >= LENGTH_SIZE && bytes.length % 4 !== 0)
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - LENGTH_SIZE);
      const reader = new FrameReader(MAX_AGENT_FRAME);
      // A piece is a copy, as a socket's is: the reader keeps it.
      const cut = (bytes.at(-1) ?? 0) % (bytes.length + 1);
      try {
        const messages = [...reader.push(bytes.slice(0, cut)), ...reader.push(bytes.slice(cut))];
        promise(messages.length <= bytes.length / (LENGTH_SIZE + 1), `${messages.length} messages`);
        const parse = bytes.length % 2 === 0 ? parseAgentMessage : parseImagerMessage;
        return messages.map((message) => understood(message, parse)).includes(true);
      } catch (error) {
        if (error instanceof FrameError) return false;
        throw error;
      }
    },
  };
}

function understood(message: unknown, parse: (value: unknown) => AgentMessage | ImagerMessage): boolean {
  return refusable(MessageError, () => {
    const value = parse(message);
    promise(Object.getPrototypeOf(value) === Object.prototype, 'a message is a plain object');
    promise(encodeFrame(value).length <= 2 * MAX_AGENT_FRAME, 'a message is about as long as what was sent');
  });
}
