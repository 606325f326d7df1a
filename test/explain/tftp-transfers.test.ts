/** How a TFTP transfer ended, by the packets of a capture. */
import { describe, expect, test } from 'vitest';
import { TftpTransfers } from '../../imager/explain/tftp-transfers.ts';
import { encodePacket, type Packet } from '../../imager/tftp/codec.ts';

const CLIENT = { from: '10.77.0.11', sourcePort: 2070 };
const SERVER = { from: '10.77.0.1', sourcePort: 40_000 };
const rrq: Packet = { type: 'rrq', file: 'pxelinux.0', mode: 'octet', options: new Map() };
const data = (block: number, length: number): ['server', Packet] => [
  'server',
  { type: 'data', block, data: new Uint8Array(length) },
];
const ack = (block: number): ['client', Packet] => ['client', { type: 'ack', block }];
const error: ['client', Packet] = ['client', { type: 'error', code: 3, message: 'no room' }];
const offer: ['server', Packet] = ['server', { type: 'oack', options: new Map([['tsize', '100']]) }];

/** The one transfer of which these packets, a second apart, are. */
function ended(...packets: ['client' | 'server', Packet][]) {
  const transfers = new TftpTransfers();
  for (const [at, [side, packet]] of [['client', rrq] as const, ...packets].entries()) {
    const [own, other] = side === 'client' ? [CLIENT, SERVER] : [SERVER, CLIENT];
    const payload = encodePacket(packet);
    transfers.take({
      ...{ kind: 'udp', frame: at, at: at * 1000, mac: 'm', ...own, to: other.from },
      ...{ port: at === 0 ? 69 : other.sourcePort, length: payload.length, payload },
    });
  }
  const [first, ...others] = transfers.all().map(({ transfer }) => transfer);
  expect(others).toEqual([]);
  return first!;
}

describe('a transfer whose last block was sent', () => {
  const sent = [data(1, 512), ack(1), data(2, 100)];

  test.each<[string, ['client' | 'server', Packet][]]>([
    ['and acknowledged', [...sent, ack(2)]],
    // Loaders start what they have without another word.
    ['and sent again without an answer', [...sent, data(2, 100), data(2, 100)]],
    ['after the offer, which was acknowledged', [offer, ack(0), data(1, 100)]],
  ])('is done: %s', (_name, packets) => expect(ended(...packets).end).toBe('done'));

  test.each<[string, string, ['client' | 'server', Packet][]]>([
    ['the client has answered nothing', 'open', [data(1, 100), data(1, 100)]],
    ['nor the offer', 'open', [offer, data(1, 100)]],
    ['the block before was not acknowledged', 'open', [data(1, 512), data(2, 100)]],
    ['the client did not want it', 'declined', [...sent, error]],
  ])('is not: %s', (_name, end, packets) => expect(ended(...packets).end).toBe(end));

  test('is done once it is acknowledged, whatever the client says then', () =>
    expect(ended(...sent, ack(2), error).end).toBe('done'));
});
