/** One message of each kind, with every field it may have: a kind or a field that is missing here does not compile. */
import { toldOf } from '../../agent/protocol/membership.ts';
import type { AgentMessage, ImagerMessage } from '../../agent/protocol/messages.ts';
import { definitionOf, uuid } from '../local/definitions.ts';

type OfEachKind<Message extends { type: string }> = {
  [Type in Message['type']]: Required<Extract<Message, { type: Type }>>;
};

const TARGET = {
  image: 'alpha',
  disks: ['root'],
  imagers: ['10.77.0.1'],
  cluster: 'one',
  deployment: 'd1',
};
const POINTER = { sequence: 7, ...TARGET, phase: 'deploy' as const, attempts: 3, fallback: '' };
const DEFINITION = definitionOf(1);
const LOCAL = toldOf(DEFINITION);
const BOOT_ID = '0b5d4e7f-8a91-4b2c-93d4-e5f6016f1a2c';

export const FROM_AGENT: OfEachKind<AgentMessage> = {
  hello: {
    type: 'hello',
    version: 2,
    uid: 'serial:x1',
    macs: ['52:54:00:00:00:01'],
    bootId: BOOT_ID,
    bootedImage: 'alpha',
    instance: '0.4375',
    pointer: POINTER,
    uptime: 1.25,
    local: LOCAL,
    keeps: true,
    keptOn: 'root',
  },
  step: {
    ...{ type: 'step', seq: 1, step: 'mounted', uptime: 2 },
    detail: { disk: 'root', seconds: 0.1, ok: true },
    boot: { id: 'b', image: 'alpha' },
  },
  output: {
    ...{ type: 'output', script: '10-a', deployment: 'd1', bootId: BOOT_ID, stage: 1, code: 143 },
    ...{ timedOut: false, began: 2.5, took: 0.125, output: 'one\ntwo\n' },
  },
  pointer: { type: 'pointer', pointer: POINTER },
  done: { type: 'done', request: 9, pointer: POINTER, former: POINTER },
  failed: { type: 'failed', request: 9, why: 'no EEPROM', untouched: true },
  heartbeat: {
    type: 'heartbeat',
    adapters: [
      {
        ...{ name: 'eth0', mac: '52:54:00:00:00:01', address: '10.77.0.11', carrier: true, operstate: 'up' },
        ...{ speed: 1000, received: { packets: 12, errors: 0 }, sent: { packets: 7, errors: 1 } },
        ...{ path: 'up', roundTrip: 0.25 },
      },
      {
        ...{ name: 'eth1', mac: '52:54:00:00:00:02', address: null, carrier: false, operstate: 'down' },
        ...{ speed: null, received: { packets: 0, errors: 0 }, sent: { packets: 0, errors: 0 } },
        ...{ path: 'untried', roundTrip: null },
      },
    ],
  },
  identified: { type: 'identified', request: 9, uid: 'serial:x1', local: LOCAL },
  resources: {
    type: 'resources',
    resources: [
      { kind: 'adapter', key: '52:54:00:00:00:01', fields: { name: 'eth0', mtu: 1500, carrier: true } },
      { kind: 'memory', key: 'total', fields: { bytes: 2 ** 40 } },
    ],
    faults: [{ where: '/sys/class/net/eth1', why: 'EIO' }],
  },
};

export const FROM_IMAGER: OfEachKind<ImagerMessage> = {
  welcome: {
    type: 'welcome',
    node: 'node1',
    hostname: 'node1',
    plan: {
      deployment: 'd1',
      secondReboot: true,
      scripts: [
        { name: '10-a', stage: 1, content: 'true\n', timeoutSeconds: 5, run: 'once', onFailure: 'stop' },
      ],
      services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 60 },
      adapters: [
        {
          ...{ mac: '52:54:00:00:00:01', setMac: '02:00:00:00:00:01' },
          network: { address: '10.0.0.9', prefix: 24, gateway: '10.0.0.1' },
        },
        { network: { address: '10.0.0.9', prefix: 24 } },
      ],
      signature: new Uint8Array(64).fill(8),
    },
    heartbeatSeconds: 10,
  },
  refuse: { type: 'refuse', why: 'unknown node' },
  replaced: { type: 'replaced', why: 'another agent has the place of node1, at 10.77.0.12' },
  ack: { type: 'ack', seq: 1, boot: 'b' },
  kept: { type: 'kept', script: '10-a', bootId: BOOT_ID },
  flash: {
    ...{ type: 'flash', request: 9, ...TARGET, deployment: 'd2' },
    signed: {
      port: 80,
      files: [{ name: 'boot.efi', bytes: 12_345_678_901, sha256: 'ab'.repeat(32) }],
      signature: new Uint8Array(64).fill(7),
    },
  },
  power: { type: 'power', request: 10, action: 'reboot' },
  pong: { type: 'pong' },
  identify: { type: 'identify', request: 11, cluster: uuid(1) },
  commit: { type: 'commit', request: 12, definition: DEFINITION },
  erase: { type: 'erase', request: 13, definition: DEFINITION.id },
  correct: { type: 'correct', request: 14, definition: DEFINITION.id, to: 'serial:x2' },
};
