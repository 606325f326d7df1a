/**
 * The two sockets of a DHCP server.
 *
 * Only a socket on 0.0.0.0 hears broadcasts. It is bound to the interface that has the server address, or it would hear
 * those of every interface and take their clients for the nodes'. What is sent to the server address, by relay agents and
 * those who renew, comes to the other socket from wherever the machine has a route.
 *
 * Node's own sockets cannot be bound to an interface: where the native ones are not built, keep the DHCP port of other
 * networks away from this server with a packet filter.
 */
import { readFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { openUdp } from '../udp/open.ts';
import type { Sent, UdpListener, UdpSocket } from '../udp/socket.ts';
import { receiveDrops } from './receive-drops.ts';

/** Bytes; the system may grant less. Racks are powered on at once, and a lost DISCOVER costs its client seconds. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

export interface SocketsOptions {
  /** 0: the system chooses. */
  port: number;
  serverAddress: string;
  /** Where requests are received. */
  listenAddress: string;
  /** The interface whose broadcasts are heard; undefined: all. */
  device: string | undefined;
}

export class DhcpSockets {
  /** The port of both. */
  readonly port: number;
  /** True where a socket hears the broadcasts of every interface. */
  readonly hearsAll: boolean;
  readonly #sockets: readonly UdpSocket[];
  readonly #addresses: readonly string[];
  readonly #transmit: UdpSocket;

  /**
   * Binds them. Rejects with the system's error: EADDRNOTAVAIL while no interface has the server address, EADDRINUSE
   * where another server has the port.
   */
  static async open({ port, serverAddress, listenAddress, device }: SocketsOptions): Promise<DhcpSockets> {
    // The two sockets share the port, and would share it with those of another server as readily.
    if (port !== 0) await probe(port, serverAddress);
    const sockets: UdpSocket[] = [];
    try {
      if (listenAddress === serverAddress) sockets.push(await bind(port, serverAddress));
      else sockets.push(await bindToDevice(port, listenAddress, device));
      // Linux routes 255.255.255.255 by the source address of a bound socket, so replies leave by the interface that
      // has the server address. Renewals, which are unicast, arrive on this more specific socket too.
      if (listenAddress !== serverAddress) sockets.push(await bind(sockets[0]!.port, serverAddress));
      return new DhcpSockets(sockets, [listenAddress, serverAddress].slice(0, sockets.length));
    } catch (error) {
      await Promise.all(sockets.map((socket) => socket.close()));
      throw error;
    }
  }

  private constructor(sockets: UdpSocket[], addresses: string[]) {
    this.#sockets = sockets;
    this.#addresses = addresses;
    this.#transmit = sockets.at(-1)!;
    this.port = this.#transmit.port;
    this.hearsAll = sockets.length > 1 && sockets[0]!.device === undefined;
  }

  /** Hands over what comes in from now on. */
  listen(listener: UdpListener): void {
    for (const socket of this.#sockets) socket.listen(listener);
  }

  /** Sends one datagram from the server's address; `sent` hears the system's error, if any. */
  send(bytes: Uint8Array, port: number, address: string, sent: Sent): void {
    this.#transmit.send(bytes, port, address, sent);
  }

  /** Messages the kernel dropped because they came faster than they were taken; 0 where it does not tell. */
  drops(): number {
    try {
      return receiveDrops(readFileSync('/proc/net/udp', 'latin1'), this.#addresses, this.port);
    } catch {
      return 0;
    }
  }

  /** Hands over nothing more; sending goes on. */
  stopListening(): void {
    for (const socket of this.#sockets) socket.listen(undefined);
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }
}

/** Interfaces that are up with an IPv4 address and are neither loopback nor the one that has the server address. */
export function otherInterfaces(
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>,
  serverAddress: string,
): string[] {
  return Object.entries(interfaces).flatMap(([name, all = []]) => {
    const found = all.filter(({ family, internal }) => family === 'IPv4' && !internal);
    const addresses = found.map(({ address }) => address);
    return found.length === 0 || addresses.includes(serverAddress)
      ? []
      : [`${name} (${addresses.join(', ')})`];
  });
}

/** Rejects with EADDRINUSE where anybody has the port at `address`, willing to share it or not. */
async function probe(port: number, address: string): Promise<void> {
  await (await bind(port, address, false)).close();
}

/** A bound socket that may broadcast and shares its port with the server's other socket. */
function bind(port: number, address: string, reuseAddress = true, device?: string): Promise<UdpSocket> {
  const named = device === undefined ? {} : { device };
  return openUdp({ address, port, reuseAddress, broadcast: true, receiveBuffer: RECEIVE_BUFFER, ...named });
}

/** On `device` alone, unless it is gone or the system does not let us (before Linux 5.7 that takes CAP_NET_RAW). */
async function bindToDevice(port: number, address: string, device: string | undefined): Promise<UdpSocket> {
  try {
    return await bind(port, address, true, device);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (device === undefined || (code !== 'EPERM' && code !== 'ENODEV')) throw error;
    return bind(port, address);
  }
}
