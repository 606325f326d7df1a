/**
 * The two sockets of a DHCP server.
 *
 * Only a socket on 0.0.0.0 hears broadcasts, and it hears those of every interface: Node cannot bind a socket to one
 * interface (SO_BINDTODEVICE of socket(7)). Requests of clients on other interfaces are therefore taken for requests
 * of the nodes' network; the answers leave by the interface that has the server address. On a machine with several
 * networks keep the DHCP port of the others away from this server with a packet filter.
 */
import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { readFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { receiveDrops } from './receive-drops.ts';

/** Bytes; the system may grant less. Racks are powered on at once, and a lost DISCOVER costs its client seconds. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

export interface SocketsOptions {
  /** 0: the system chooses. */
  port: number;
  serverAddress: string;
  /** Where requests are received. */
  listenAddress: string;
}

export class DhcpSockets {
  /** The port of both. */
  readonly port: number;
  /** True where a socket hears the broadcasts of every interface. */
  readonly hearsAll: boolean;
  readonly #sockets: readonly Socket[];
  readonly #transmit: Socket;

  /**
   * Binds them. Rejects with the system's error: EADDRNOTAVAIL while no interface has the server address, EADDRINUSE
   * where another server has the port.
   */
  static async open({ port, serverAddress, listenAddress }: SocketsOptions): Promise<DhcpSockets> {
    // The two sockets share the port, and would share it with those of another server as readily.
    if (port !== 0) await probe(port, serverAddress);
    const sockets: Socket[] = [];
    try {
      const receive = await bind(port, listenAddress);
      sockets.push(receive);
      // Linux routes 255.255.255.255 by the source address of a bound socket, so replies leave by the interface that
      // has the server address. Renewals, which are unicast, arrive on this more specific socket too.
      if (listenAddress !== serverAddress) sockets.push(await bind(receive.address().port, serverAddress));
      return new DhcpSockets(sockets);
    } catch (error) {
      for (const socket of sockets) socket.close();
      throw error;
    }
  }

  private constructor(sockets: Socket[]) {
    this.#sockets = sockets;
    this.#transmit = sockets.at(-1)!;
    this.port = this.#transmit.address().port;
    this.hearsAll = sockets.length > 1;
  }

  /** Hands over what comes in from now on. */
  listen(
    message: (bytes: Uint8Array, from: { address: string; port: number }) => void,
    failure: (error: Error) => void,
  ): void {
    for (const socket of this.#sockets) {
      socket.on('message', message);
      socket.on('error', failure);
    }
  }

  /** Sends one datagram from the server's address; `sent` hears the system's error, if any. */
  send(bytes: Uint8Array, port: number, address: string, sent: (error: Error | null) => void): void {
    this.#transmit.send(bytes, port, address, sent);
  }

  /** Messages the kernel dropped because they came faster than they were taken; 0 where it does not tell. */
  drops(): number {
    try {
      const addresses = this.#sockets.map((socket) => socket.address().address);
      return receiveDrops(readFileSync('/proc/net/udp', 'latin1'), addresses, this.port);
    } catch {
      return 0;
    }
  }

  /** Hands over nothing more; sending goes on. */
  stopListening(): void {
    for (const socket of this.#sockets) socket.removeAllListeners('message');
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
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
  const socket = await bind(port, address, false);
  await new Promise<void>((resolve) => socket.close(() => resolve()));
}

/** Every address here is one already: the resolver of the system would only take its time to say so. */
const literally: NonNullable<SocketOptions['lookup']> = (address, _options, done) => done(null, address, 4);

/** A bound socket that may broadcast and shares its port with the server's other socket. */
function bind(port: number, address: string, reuseAddr = true): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr, recvBufferSize: RECEIVE_BUFFER, lookup: literally });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, address, () => {
      socket.removeAllListeners('error');
      socket.setBroadcast(true);
      resolve(socket);
    });
  });
}
