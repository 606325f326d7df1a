/** What becomes of bytes from a network, in a few words: the same on every runtime. */
import { crc32 } from '../../../agent/protocol/crc32.ts';
import { encodeFrame, FrameError, FrameReader } from '../../../agent/protocol/frame.ts';
import { MessageError, parseAgentMessage, parseImagerMessage } from '../../../agent/protocol/messages.ts';

/** `bytes` as the agent takes what an imager sent, in two pieces. */
export function outcome(bytes: Uint8Array): string {
  const cut = (bytes.at(-1) ?? 0) % (bytes.length + 1);
  const reader = new FrameReader();
  try {
    return [...reader.push(bytes.slice(0, cut)), ...reader.push(bytes.slice(cut))].map(understood).join();
  } catch (error) {
    if (error instanceof FrameError) return 'no frame';
    throw error;
  }
}

function understood(message: unknown): string {
  return [parseImagerMessage, parseAgentMessage]
    .map((parse) => {
      try {
        return crc32(encodeFrame(parse(message))).toString(16);
      } catch (error) {
        if (error instanceof MessageError) return error.message;
        throw error;
      }
    })
    .join('/');
}
