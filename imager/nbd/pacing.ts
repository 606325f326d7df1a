/**
 * Whether the kernel times each piece of a connection's data itself, as it does for BBR: then what counts is the timers,
 * and parts of files, which the system hands on in pieces of 64 KiB, cost more of them than memory in one (README.md,
 * "Speed"). `congestion`: the name of its congestion control.
 */
export function isPaced(congestion: string): boolean {
  return congestion.startsWith('bbr');
}
