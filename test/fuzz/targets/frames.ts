/** Agent frames: length, CBOR, message, in pieces as TCP brings them; both sides' messages. */
import { encodeFrame, FrameError, FrameReader, MAX_AGENT_FRAME } from '../../../agent/protocol/frame.ts';
import {
  type AgentMessage,
  type ImagerMessage,
  MessageError,
  parseAgentMessage,
  parseImagerMessage,
} from '../../../agent/protocol/messages.ts';
import { FROM_AGENT, FROM_IMAGER } from '../../agent/sample-messages.ts';
import { promise, refusable, type Target } from '../target.ts';

const MESSAGES = [...Object.values(FROM_AGENT), ...Object.values(FROM_IMAGER)];
const LENGTH_SIZE = 4;
/** Deep nesting, endless lengths, tags, dates, big numbers, a key of a prototype. */
const TOKENS = [
  '818181818181',
  'bf',
  '9f',
  '7f',
  'ff',
  'c0',
  'c249ffffffffffffffffff',
  'fb7ff8000000000000',
  '1bffffffffffffffff',
  'd8404100',
  'd9dffe83',
  'a1695f5f70726f746f5f5fa0',
];

export function frameTarget(): Target {
  return {
    seeds: [...MESSAGES, [...MESSAGES, 1.5, -1, null, new Uint8Array(9)]].map((message) =>
      encodeFrame(message),
    ),
    tokens: TOKENS.map((hex) => Buffer.from(hex, 'hex')),
    maxLength: MAX_AGENT_FRAME + 64,
    take(bytes) {
      // The right length for most: what comes behind it is to be fuzzed as well.
      if (bytes.length >= LENGTH_SIZE && bytes.length % 4 !== 0)
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - LENGTH_SIZE);
      const reader = new FrameReader(MAX_AGENT_FRAME);
      // A piece is a copy, as a socket's is: the reader keeps it.
      const cut = (bytes.at(-1) ?? 0) % (bytes.length + 1);
      try {
        const messages = [...reader.push(bytes.slice(0, cut)), ...reader.push(bytes.slice(cut))];
        promise(messages.length <= bytes.length / (LENGTH_SIZE + 1), `${messages.length} messages`);
        const parse = bytes.length % 2 === 0 ? parseAgentMessage : parseImagerMessage;
        return messages.map((message) => understood(message, parse)).includes(true);
      } catch (error) {
        if (error instanceof FrameError) return false;
        throw error;
      }
    },
  };
}

function understood(message: unknown, parse: (value: unknown) => AgentMessage | ImagerMessage): boolean {
  return refusable(MessageError, () => {
    const value = parse(message);
    promise(Object.getPrototypeOf(value) === Object.prototype, 'a message is a plain object');
    promise(encodeFrame(value).length <= 2 * MAX_AGENT_FRAME, 'a message is about as long as what was sent');
  });
}
