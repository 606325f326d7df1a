/** Classic pcap files (draft-ietf-opsawg-pcap): a header of 24 bytes, then records of 16 bytes and the frame. */
import { type Capture, CaptureError, type Frame, MAX_FRAME } from './frame.ts';

const HEADER = 24;
const RECORD = 16;

/** The frames of a file whose magic number has been read. `perMs`: fractions of its time stamps in a millisecond. */
export function readPcap(view: DataView, { little, perMs }: { little: boolean; perMs: number }): Capture {
  const major = view.getUint16(4, little);
  if (major !== 2) throw new CaptureError(`pcap version ${major}, only 2 is known`);
  // The upper bits say whether frames end with a checksum.
  const linkType = view.getUint32(20, little) & 0xffff;
  const frames: Frame[] = [];
  let at = HEADER;
  while (at < view.byteLength) {
    const number = frames.length + 1;
    if (at + RECORD > view.byteLength)
      return { frames, fault: `the file ends in the header of packet ${number}` };
    const length = view.getUint32(at + 8, little);
    if (length > MAX_FRAME)
      return { frames, fault: `packet ${number} says it has ${length} bytes: the file is damaged` };
    if (at + RECORD + length > view.byteLength)
      return { frames, fault: `the file ends inside packet ${number}` };
    frames.push({
      number,
      at: view.getUint32(at, little) * 1000 + view.getUint32(at + 4, little) / perMs,
      linkType,
      bytes: new Uint8Array(view.buffer, view.byteOffset + at + RECORD, length),
    });
    at += RECORD + length;
  }
  return { frames };
}
