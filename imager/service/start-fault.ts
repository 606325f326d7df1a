/** Why a server could not start, and what to do about it. Pure. */

const UDP: readonly string[] = ['dhcp', 'tftp'];

/**
 * One sentence for the system's `error` at the start of `service` on `port` of `address`; `setting` is where the
 * configuration names the port.
 */
export function startFault(
  error: NodeJS.ErrnoException,
  service: string,
  { address, port, setting }: { address: string; port: number; setting: string },
): string {
  const [protocol, option] = UDP.includes(service) ? ['UDP', 'u'] : ['TCP', 't'];
  const why: Record<string, string> = {
    EADDRINUSE: `the port is in use: find by whom with "ss -ln${option}p sport = :${port}", or set ${setting}`,
    EADDRNOTAVAIL: `no interface of this machine has the address: set it up, or correct network.address`,
    EACCES: `no permission: ports below 1024 need root or CAP_NET_BIND_SERVICE, or set ${setting}`,
  };
  return `cannot start ${service} on ${protocol} port ${port} of ${address}: ${why[error.code ?? ''] ?? error.message}`;
}
