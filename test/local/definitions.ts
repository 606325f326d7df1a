/** Definitions to keep, told apart by a number. */
import type { Definition } from '../../agent/protocol/definition.ts';

/** UUID whose last digits are `number`. */
export function uuid(number: number): string {
  return `5b0e7c2a-91d4-4f6e-a3b8-${number.toString(16).padStart(12, '0')}`;
}

/** Of cluster `cluster`; `version` tells one from a later one of the same cluster. */
export function definitionOf(cluster: number, version = 0): Definition {
  return {
    id: uuid(0x1000 * cluster + version + 1),
    cluster: { name: `lab${cluster}`, id: uuid(cluster) },
    number: 7 + version,
    name: 'node1',
    uid: '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601',
    imagers: ['10.77.0.1', '10.77.0.2'],
    key: Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + ((i + version + cluster) % 0x50)),
    signer: Uint8Array.from({ length: 65 }, (_, i) => (i === 0 ? 4 : i)),
  };
}

/** The longest there is. */
export function longestDefinition(cluster: number): Definition {
  return {
    ...definitionOf(cluster),
    cluster: { name: 'c'.repeat(63), id: uuid(cluster) },
    number: 0xffffffff,
    name: 'n'.repeat(63),
    uid: `serial:${'s'.repeat(63)}`,
    imagers: ['255.255.255.255', '10.77.0.2', '10.77.0.3', '10.77.0.4'],
  };
}
