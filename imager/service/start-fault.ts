/** Why a server could not start, and what to do about it. Pure. */

/** Of boot servers (PXE specification 2.1, section 2.2.3). */
const PXE_PORT = 4011;
/** Of DHCP servers (RFC 2131, section 4.1). */
const DHCP_PORT = 67;
const UDP: readonly string[] = ['dhcp', 'tftp'];

/**
 * One sentence for the system's `error` at the start of `service` on `port` of `address`; `setting` is where the
 * configuration names the port. A proxy has a second one, which PXE fixes: the error names it. For a port that firmware
 * knows no other of, none is advised.
 */
export function startFault(
  error: NodeJS.ErrnoException & { port?: number },
  service: string,
  place: { address: string; port: number; setting: string },
): string {
  const { address, setting } = place;
  const port = error.port === PXE_PORT ? PXE_PORT : place.port;
  // The agent port is both: what is bound and not listened on are the datagrams.
  const datagrams = UDP.includes(service) || (service === 'agent' && error.syscall === 'bind');
  const [protocol, option] = datagrams ? ['UDP', 'u'] : ['TCP', 't'];
  const isFixed = port === PXE_PORT || port === DHCP_PORT;
  const other = isFixed ? 'and stop that: firmware asks no other' : `or set ${setting}`;
  const why: Record<string, string> = {
    EADDRINUSE: `the port is in use: find by whom with "ss -ln${option}p sport = :${port}", ${other}`,
    EADDRNOTAVAIL: `no interface of this machine has the address: set it up, or correct network.address`,
    EACCES: `no permission: ports below 1024 need root or CAP_NET_BIND_SERVICE${isFixed ? '' : `, or set ${setting}`}`,
  };
  return `cannot start ${service} on ${protocol} port ${port} of ${address}: ${why[error.code ?? ''] ?? error.message}`;
}
