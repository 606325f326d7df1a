/** DHCP messages as frames of a capture. */
import { type DhcpMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { Frame } from '../../imager/explain/frame.ts';

export const NODE_MAC = '52:54:00:00:00:01';

/** A DHCP message in Ethernet, IPv4 and UDP; to the servers' ports from the node, else from the imager. */
export function dhcpFrame(
  seconds: number,
  port: number,
  {
    options,
    mac = NODE_MAC,
    ...fields
  }: Partial<Omit<DhcpMessage, 'options'>> & { options: Record<number, Uint8Array> },
): Frame {
  const fromNode = port !== 68;
  const none = '0.0.0.0';
  const { bytes: payload } = encodeMessage(
    {
      ...{ op: fromNode ? 'request' : 'reply', hops: 0, xid: 7, secs: 0, broadcast: true, mac },
      ...{ ciaddr: none, yiaddr: none, siaddr: none, giaddr: none, serverName: '', file: '' },
      ...fields,
      options: new Map(Object.entries(options).map(([code, value]) => [Number(code), value])),
    },
    1472,
  );
  const head = Buffer.alloc(42);
  head.fill(0xff, 0, 6);
  Buffer.from(mac.replaceAll(':', ''), 'hex').copy(head, 6);
  head.writeUInt16BE(0x0800, 12);
  head.writeUInt8(0x45, 14);
  head.writeUInt16BE(28 + payload.length, 16);
  head.writeUInt8(64, 22);
  head.writeUInt8(17, 23);
  head.set(fromNode ? [0, 0, 0, 0] : [10, 77, 0, 1], 26);
  head.fill(0xff, 30, 34);
  head.writeUInt16BE(fromNode ? 68 : 67, 34);
  head.writeUInt16BE(port, 36);
  head.writeUInt16BE(8 + payload.length, 38);
  return {
    number: 0,
    at: 1_700_000_000_000 + seconds * 1000,
    linkType: 1,
    bytes: new Uint8Array(Buffer.concat([head, payload])),
  };
}
