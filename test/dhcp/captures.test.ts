/** What real firmware sends (captures/README.md), and what it is answered. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { BootClient, DhcpConfig } from '../../imager/dhcp/config.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import { readClientOptions } from '../../imager/dhcp/options/client.ts';
import { text, world } from './fakes.ts';

const UID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';

function capture(name: string): Uint8Array {
  const hex = readFileSync(join(import.meta.dirname, 'captures', `${name}.hex`), 'utf8');
  return Uint8Array.from(Buffer.from(hex.replaceAll('\n', ''), 'hex'));
}

function offer(name: string, file = 'boot.img') {
  const asked: BootClient[] = [];
  const { decision, bytes } = answerTo(name, (client) => {
    asked.push(client);
    return { file };
  });
  return { decision, asked: asked[0], reply: decodeMessage(bytes) };
}

function answerTo(name: string, bootFile: DhcpConfig['bootFile']) {
  const reservations = [{ node: 'n1', address: '10.77.0.11', uid: UID }];
  const decision = decide(decodeMessage(capture(name)), world({ reservations, config: { bootFile } }));
  if (decision.kind !== 'reply') throw new Error(`no reply: ${JSON.stringify(decision)}`);
  const { bytes, omitted } = encodeMessage(decision.message, decision.limit);
  expect(omitted).toEqual([]);
  return { decision, bytes };
}

test.each([
  [
    'ipxe-discover',
    {
      architecture: 0,
      userClass: 'iPXE',
      vendorClass: 'PXEClient:Arch:00000:UNDI:002001',
      uid: UID,
      ipxe: true,
      maximumMessageSize: 1472,
      clientIdentifier: '01525400000011',
    },
  ],
  ['ipxe-request', { messageType: 3, serverIdentifier: '10.0.2.2', requestedAddress: '10.0.2.15' }],
  [
    'uboot-discover',
    {
      architecture: 0x16,
      vendorClass: 'U-Boot.armv8',
      uid: undefined,
      userClass: undefined,
      ipxe: false,
      maximumMessageSize: 576,
    },
  ],
  ['uboot-pxe-discover', { architecture: 11, vendorClass: 'PXEClient:Arch:00011:UNDI:003000' }],
  [
    'ovmf-pxe-discover',
    {
      architecture: 7,
      vendorClass: 'PXEClient:Arch:00007:UNDI:003000',
      uid: UID,
      ipxe: false,
    },
  ],
] as const)('%s says who it is', (name, expected) => {
  expect(readClientOptions(decodeMessage(capture(name)).options)).toMatchObject(expected);
});

describe('offers', () => {
  test('iPXE: its node by UID, boots without waiting for a proxy', () => {
    const { asked, reply } = offer('ipxe-discover', 'http://10.77.0.1/boot.ipxe');
    expect(asked).toEqual({
      mac: '52:54:00:00:00:11',
      uid: UID,
      arch: 0,
      userClass: 'iPXE',
      vendorClass: 'PXEClient:Arch:00000:UNDI:002001',
      node: 'n1',
    });
    expect(reply).toMatchObject({
      yiaddr: '10.77.0.11',
      siaddr: '10.77.0.1',
      file: 'http://10.77.0.1/boot.ipxe',
    });
    expect(reply.options.get(175)).toEqual(Uint8Array.of(176, 1, 1));
    expect(reply.options.get(60)).toEqual(text('PXEClient'));
    expect(reply.options.get(97)).toEqual(decodeMessage(capture('ipxe-discover')).options.get(97));
  });

  test('UEFI PXE: discovery control 8, machine identifier echoed, broadcast as asked', () => {
    const { decision, reply } = offer('ovmf-pxe-discover', 'snponly.efi');
    expect(reply.options.get(43)).toEqual(Uint8Array.of(6, 1, 8, 255));
    expect(reply.options.get(67)).toEqual(text('snponly.efi'));
    expect(reply.options.get(66)).toEqual(text('10.77.0.1'));
    expect(reply).toMatchObject({ broadcast: true, file: 'snponly.efi' });
    expect(reply.options.has(175)).toBe(false);
    expect(decision.to).toEqual({ address: '255.255.255.255', port: 'client' });
  });

  test('U-Boot: a pool address and a file, nothing of PXE', () => {
    const { reply } = offer('uboot-discover');
    expect(reply.yiaddr).toMatch(/^10\.77\.0\.10[0-2]$/);
    expect([...reply.options.keys()]).toEqual([53, 54, 51, 1, 3]);
    expect(reply.file).toBe('boot.img');
  });

  test('U-Boot without a file: it knows what it wants, and is told where from', () => {
    const { bytes } = answerTo('uboot-discover', () => undefined);
    expect(decodeMessage(bytes)).toMatchObject({ siaddr: '10.77.0.1', file: '' });
    // Nobody else is sent anywhere.
    const other = answerTo('ovmf-pxe-discover', () => ({ why: 'nothing here' }));
    expect(decodeMessage(other.bytes)).toMatchObject({ siaddr: '0.0.0.0', file: '' });
    expect(other.decision.detail).toMatchObject({ why: 'nothing here' });
  });

  test('another server was chosen: iPXE is not answered', () => {
    expect(decide(decodeMessage(capture('ipxe-request')), world())).toMatchObject({
      kind: 'silence',
      reason: 'other-server',
    });
  });
});
