/** The registry's log: its beginning, records, what they hold. */
import { crc32 } from 'node:zlib';
import {
  decodeLog,
  encodeGroup,
  LOG_MAGIC,
  LogError,
  RECORD_HEAD,
} from '../../../imager/registry/log-record.ts';
import { promise, refusable, type Target } from '../target.ts';

const stored = (value: unknown) => ({ value, revision: 1 });
const GROUPS = [
  encodeGroup(1, [
    [{ written: 'lease\x010.77.0.11\0', stored: stored({ mac: '52:54:00:00:00:01', n: 1.5 }) }],
  ]),
  encodeGroup(2, [
    [{ written: 'a\0', stored: undefined }],
    [{ written: 'b\0', stored: stored([new Uint8Array(5), null, true, -7, 2 ** 40]) }],
  ]),
];
/** Deep nesting, endless lengths, tags, big numbers, a key of a prototype. */
const TOKENS = [
  '42577263',
  '818181818181',
  'bf',
  'c249ffffffffffffffffff',
  'fb7ff8000000000000',
  '1bffffffffffffffff',
];

/** The last record's length and checksum are made right for most, so that what is behind them is reached. */
export function registryLogTarget(): Target {
  return {
    seeds: [
      LOG_MAGIC,
      Buffer.concat([LOG_MAGIC, GROUPS[0]!]),
      Buffer.concat([LOG_MAGIC, GROUPS[1]!]),
      Buffer.concat([LOG_MAGIC, ...GROUPS]),
    ],
    tokens: [...TOKENS, 'a1695f5f70726f746f5f5fa0'].map((hex) => Buffer.from(hex, 'hex')),
    maxLength: 4096,
    take(bytes) {
      const log = Buffer.from(bytes);
      const at = LOG_MAGIC.length;
      if (log.length > at + RECORD_HEAD && log.length % 4 !== 0) {
        LOG_MAGIC.copy(log);
        log.write('BWrc', at, 'latin1');
        log.writeUInt32LE(log.length - at - RECORD_HEAD, at + 4);
        log.writeUInt32LE(crc32(log.subarray(at + RECORD_HEAD)), at + 8);
      }
      return refusable(LogError, () => {
        const { groups, end } = decodeLog(log);
        promise(end <= log.length, 'records are within the log');
        const again = groups.map(({ first, transactions }) => encodeGroup(first, transactions));
        const read = decodeLog(Buffer.concat([LOG_MAGIC, ...again]));
        promise(read.groups.length === groups.length, 'what was read can be written');
      });
    },
  };
}
