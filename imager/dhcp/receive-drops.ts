/** What the kernel dropped of a socket's messages because its receive queue was full: /proc/net/udp of proc(5). Pure. */
import { ipv4ToNumber } from '../../agent/protocol/ipv4.ts';

/**
 * The sum of the column `drops` over the sockets at `port` of `addresses`, in the text of /proc/net/udp. That has
 * addresses as the hexadecimal of the number in the machine's byte order, little-endian wherever Node runs.
 */
export function receiveDrops(table: string, addresses: readonly string[], port: number): number {
  const ends = addresses.map((address) => `${littleEndian(address)}:${hex(port, 4)}`);
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local]) => local !== undefined && ends.includes(local))
    .reduce((sum, fields) => sum + (Number(fields.at(-1)) || 0), 0);
}

function littleEndian(address: string): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(ipv4ToNumber(address));
  return bytes.toString('hex').toUpperCase();
}

function hex(number: number, digits: number): string {
  return number.toString(16).toUpperCase().padStart(digits, '0');
}
