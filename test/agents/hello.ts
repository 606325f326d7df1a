/** What a node says of itself, as the endpoint of endpoint.ts knows it. */
import { type Hello, PROTOCOL_VERSION } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';

export const POINTER: BootPointer = {
  sequence: 1,
  image: 'base',
  disks: ['node1-root'],
  imagers: ['127.0.0.1'],
  cluster: 'demo',
  deployment: 'd1',
  phase: 'ready',
  attempts: 3,
  fallback: '',
};

export function hello(changes: Partial<Hello> = {}): Hello {
  return {
    type: 'hello',
    version: PROTOCOL_VERSION,
    uid: 'serial:n1',
    macs: ['52:54:00:00:00:01'],
    bootId: 'boot-1',
    bootedImage: 'base',
    pointer: POINTER,
    uptime: 2.5,
    local: null,
    keeps: false,
    ...changes,
  };
}
