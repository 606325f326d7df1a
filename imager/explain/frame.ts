/** What capture files hold. */

/** One frame as captured. */
export interface Frame {
  /** Counted from 1, as Wireshark and tcpdump -# count. */
  number: number;
  /** Milliseconds since the epoch, with fractions. */
  at: number;
  /** LINKTYPE_ number (https://www.tcpdump.org/linktypes.html). */
  linkType: number;
  /** A view of the file's bytes; shorter than the frame was where the capture was told to cut frames. */
  bytes: Uint8Array;
}

export interface Capture {
  frames: Frame[];
  /** What is wrong with the file in words; undefined: nothing. The frames before that are good. */
  fault?: string;
}

/** The bytes are no capture file at all. */
export class CaptureError extends Error {}

/** More than any capture program keeps of a frame (MAXIMUM_SNAPLEN of libpcap): a longer one is damage. */
export const MAX_FRAME = 262_144;
