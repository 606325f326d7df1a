/** TCP connections as the kernel lists them in /proc/net/tcp (proc_pid_net(5)). Pure. */
import { ipv4ToNumber } from '../protocol/ipv4.ts';

/** TCP_ESTABLISHED (include/net/tcp_states.h). */
const ESTABLISHED = '01';

/** Whether a connection from `address` to `port`, of whatever host, is established. Machines with the least byte first alone. */
export function isConnectedFrom(table: string, address: string, port: number): boolean {
  const local = hexadecimal(ipv4ToNumber(address), 8).match(/../g)!.reverse().join('');
  const remote = `:${hexadecimal(port, 4)}`;
  return table.split('\n').some((line) => {
    const [, from = '', to = '', state] = line.trim().split(/\s+/);
    return from.startsWith(`${local}:`) && to.endsWith(remote) && state === ESTABLISHED;
  });
}

function hexadecimal(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}
