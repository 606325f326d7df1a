/** Capture files: bytes -> frames. Classic pcap and pcapng; pure, and bounded by the bytes there are. */
import { type Capture, CaptureError } from './frame.ts';
import { readPcap } from './pcap.ts';
import { readPcapng } from './pcapng.ts';

/** The frames in a capture file. Throws CaptureError where it is none. */
export function readCapture(bytes: Uint8Array): Capture {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 24) throw new CaptureError(`${bytes.length} bytes are no capture file`);
  switch (view.getUint32(0)) {
    case 0xa1b2c3d4:
      return readPcap(view, { little: false, perMs: 1000 });
    case 0xd4c3b2a1:
      return readPcap(view, { little: true, perMs: 1000 });
    case 0xa1b23c4d:
      return readPcap(view, { little: false, perMs: 1_000_000 });
    case 0x4d3cb2a1:
      return readPcap(view, { little: true, perMs: 1_000_000 });
    case 0x0a0d0d0a:
      return readPcapng(view);
    default:
      throw new CaptureError('neither pcap nor pcapng: save the capture with tcpdump -w or Wireshark');
  }
}
