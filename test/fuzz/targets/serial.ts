/** A serial line: frames among console text, what is in them, and the node's end that answers. */
import { SerialAnswerer } from '../../../agent/protocol/serial/answerer.ts';
import {
  encodeSerialFrame,
  LONGEST_PAYLOAD,
  type SerialFrame,
  SerialFrameReader,
} from '../../../agent/protocol/serial/frame.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type SerialAnswer,
} from '../../../agent/protocol/serial/operations.ts';
import { promise, type Target } from '../target.ts';

const SIZE = 256;
const SESSION = 7;
const RUN = { bytes: Uint8Array.of(1, 2, 3), fill: 0, length: 64 };
const REQUESTS = [
  { op: 'hello', version: 1 },
  { op: 'read', offset: 0, length: SIZE, most: 32 },
  { op: 'write', offset: 64, run: RUN },
  { op: 'verify', length: 64, crc: 0x12345678 },
  { op: 'commit', offset: 0, length: 64, crc: 0x12345678 },
  { op: 'reset' },
  { op: 'log', from: 0 },
] as const;
const ANSWERS: SerialAnswer[] = [
  {
    op: 'hello',
    ...{ version: 1, uid: 'serial:x', layout: 'uboot-env', size: SIZE, chunk: 512 },
    ...{ locked: false, firmware: 'stub' },
  },
  { op: 'read', run: RUN },
  { op: 'commit', crc: 1 },
  { op: 'log', next: 3, text: 'up\n' },
  { op: 'refused', code: 'locked', why: 'jumper' },
];

export function serialTarget(): Target {
  const payloads = [...REQUESTS.map(encodeRequest), ...ANSWERS.map(encodeAnswer)];
  const frames = payloads.map((payload, sequence) => encodeSerialFrame(request(sequence, payload)));
  return {
    seeds: [
      ...payloads,
      ...frames,
      ...frames.map((frame) => Uint8Array.of(0x61, 0x0d, 0x0a, ...frame, 0x62)),
    ],
    tokens: ['00f5', '00', 'f5', '1affffffff', '1b0000000100000000', '590200', '9f', 'c0', '8a'].map((hex) =>
      Buffer.from(hex, 'hex'),
    ),
    maxLength: 2048,
    take(bytes) {
      // The right frame around most: what is in it is to be fuzzed as well.
      if (bytes.length > LONGEST_PAYLOAD || bytes.length % 4 === 0) return onTheLine(bytes);
      return taken(request(1, Uint8Array.from(bytes)));
    },
  };
}

function request(sequence: number, payload: Uint8Array): SerialFrame {
  return { kind: 'request', session: SESSION, sequence, payload };
}

function onTheLine(bytes: Uint8Array): boolean {
  const reader = new SerialFrameReader();
  const cut = (bytes.at(-1) ?? 0) % (bytes.length + 1);
  const items = [...reader.push(bytes.slice(0, cut)), ...reader.push(bytes.slice(cut))];
  const text = items.reduce((sum, item) => sum + (item.kind === 'text' ? item.bytes.length : 0), 0);
  promise(text <= bytes.length, `${text} bytes of text`);
  return items.map((item) => item.kind === 'frame' && taken(item.frame)).includes(true);
}

/** Both ends take it; the node's reaction is a frame, and its store keeps its size. */
function taken(frame: SerialFrame): boolean {
  const stored = new Uint8Array(SIZE);
  const node = new SerialAnswerer(
    { uid: 'serial:x', layout: 'uboot-env', size: SIZE, locked: false, firmware: 'stub' },
    {
      read: (offset, length) => {
        promise(offset + length <= SIZE, `read of ${length} bytes at ${offset}`);
        return stored.slice(offset, offset + length);
      },
      write: (offset, bytes) => stored.set(bytes, offset),
    },
    () => 'up\n',
  );
  node.take(request(0, encodeRequest(REQUESTS[0])));
  const reaction = node.take(frame);
  promise((reaction === undefined) === (frame.kind === 'answer'), 'a request is answered, an answer is not');
  if (reaction !== undefined) {
    const [item] = new SerialFrameReader().push(reaction.send);
    promise(
      item?.kind === 'frame' && decodeAnswer(item.frame.payload) !== undefined,
      'the reaction is an answer',
    );
  }
  const answer = decodeAnswer(frame.payload);
  if (answer !== undefined) promise(decodeAnswer(encodeAnswer(answer)) !== undefined, 'an answer goes on');
  return answer !== undefined || decodeRequest(frame.payload) !== undefined;
}
