/** A UDP socket as DHCP and TFTP need it: numeric addresses, bound before use. Two implementations, one contract. */
export interface UdpOptions {
  /** Numeric, IPv4 or IPv6. */
  address: string;
  /** 0: the system chooses. */
  port: number;
  /** Others that ask for it too may have the same address and port. */
  reuseAddress?: boolean;
  /** May send to broadcast addresses. */
  broadcast?: boolean;
  /** Bytes that may wait to be received; the system may grant less. */
  receiveBuffer?: number;
  /** Name of the one interface whose datagrams are wanted (SO_BINDTODEVICE of socket(7)), where that can be had. */
  device?: string;
}

export interface UdpListener {
  /**
   * `bytes` are good until the call returns: copy what is to be kept. `answered`: they were expected, and the answer has
   * been sent. `before`: so many were before them that the listener has not heard of.
   */
  receive(bytes: Buffer, address: string, port: number, answered: boolean, before: number): void;
  /** The system's error where something could not be sent or received. */
  failed(error: NodeJS.ErrnoException): void;
}

export type Sent = (error: NodeJS.ErrnoException | null) => void;

/** Questions with a number in their last two bytes (big-endian), each one higher than the last, and what answers them. */
export interface Series {
  /** The first one; 2 to 16 bytes. Copied. */
  question: Uint8Array;
  /** What its answer begins with; 2 to 16 bytes with a number as in the question. Copied. */
  head: Uint8Array;
  /**
   * What follows on the heads: `size` bytes for each answer, for the last one what is left; one answer at least, maybe without
   * any. Not copied: leave it as it is so long as one of them may be expected.
   */
  bodies: Uint8Array;
  size: number;
}

export interface UdpSocket {
  readonly port: number;
  /** The one interface it hears; undefined: all. */
  readonly device: string | undefined;
  /** True while bytes given to `send` may still be in use. */
  readonly sending: boolean;
  /** Hands over what comes in from now on, to this listener alone; undefined: to nobody. */
  listen(listener: UdpListener | undefined): void;
  /**
   * Sends one datagram, at once or as soon as there is room. `sent` hears the system's error, if any; without it the
   * listener does. Without effect once closed.
   */
  send(bytes: Uint8Array, port: number, address: string, sent?: Sent): void;
  /**
   * Lets the socket itself answer the datagrams that come next, before the listener hears of them, which it does of the last
   * of them alone, or of another one that comes between: that has the others forgotten. Only sockets that can do so sooner
   * than a listener have this, and they do not promise to: `receive` and `answers` tell.
   */
  expect?(series: Series, port: number, address: string): void;
  /**
   * How many were answered that the listener has not heard of, and how many milliseconds ago the last one was; they count as
   * heard of from now on.
   */
  answers?(): { count: number; msAgo: number };
  /** Resolves when the port is free. */
  close(): Promise<void>;
}
