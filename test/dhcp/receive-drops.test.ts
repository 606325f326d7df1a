import { expect, test } from 'vitest';
import { receiveDrops } from '../../imager/dhcp/receive-drops.ts';

/** Linux 6.1, three sockets at port 67 (0x43), one at 68. */
const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  195: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18211 2 0000000000000000 7
  195: 01004D0A:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18212 2 0000000000000000 30
  195: 0100000A:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18213 2 0000000000000000 500
  196: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 18214 2 0000000000000000 9000
`;

test('drops of the sockets named, and of no others', () => {
  expect(receiveDrops(TABLE, ['0.0.0.0', '10.77.0.1'], 67)).toBe(37);
  expect(receiveDrops(TABLE, ['10.77.0.1'], 67)).toBe(30);
  expect(receiveDrops(TABLE, ['10.77.0.1'], 68)).toBe(0);
  expect(receiveDrops('', ['0.0.0.0'], 67)).toBe(0);
});
