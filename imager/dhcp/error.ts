/** Why bytes are no DHCP message, or values cannot become one. One word each: they name counters. */
export type DhcpFault =
  /** Ends before the fixed fields and the magic cookie (RFC 2131 section 2). */
  | 'short'
  /** Longer than any message this server takes. */
  | 'long'
  /** Field `op` is neither BOOTREQUEST nor BOOTREPLY. */
  | 'op'
  /** Hardware address is not Ethernet's: htype 1, hlen 6. */
  | 'hardware'
  /** The four octets after the fixed fields are not 99.130.83.99 (RFC 2131 section 3). */
  | 'cookie'
  /** An option runs past the end of its field. */
  | 'option-truncated'
  /** Option overload is not 1, 2 or 3 (RFC 2132 section 9.3). */
  | 'overload'
  /** An option this server acts on has a length its specification rules out. */
  | 'option-length'
  /** An option this server acts on has a value its specification rules out. */
  | 'option-value';

/** The codec's only error. `offset` counts bytes from the start of the message, where one is known. */
export class DhcpError extends Error {
  readonly fault: DhcpFault;
  readonly offset: number | undefined;
  constructor(fault: DhcpFault, message: string, offset?: number) {
    super(offset === undefined ? message : `${message} (offset ${offset})`);
    this.fault = fault;
    this.offset = offset;
  }
}
