/**
 * Simulated machines on one real interface: a DHCP socket they share, told apart by xid, and for each transfer a socket
 * of the machine's own address. The kernel must take those addresses for its own (`ip route add local NETWORK dev IF`).
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { RomIdentity } from './dhcp-wire.ts';
import { SimulatedFirmware, type TftpWishes } from './firmware.ts';

const CLIENT_PORT = 68;
const SERVER_PORT = 67;
/** How late a machine may be called: firmware waits for seconds. */
const TICK_MS = 100;
/** DHCP replies to hundreds of machines come in one burst. */
const RECEIVE_BUFFER = 4 * 2 ** 20;

export interface MachineOptions {
  identity: RomIdentity;
  xid: number;
  wishes: TftpWishes;
  /** File content as it comes, in order. */
  store(data: Uint8Array, offset: number): void;
}

interface Machine {
  firmware: SimulatedFirmware;
  transfer: Transfer | undefined;
}

/** A transfer's socket; what is sent before it is bound waits in the socket. */
interface Transfer {
  socket: Socket;
}

export class Segment {
  readonly #dhcp: Socket;
  readonly #machines = new Map<number, Machine>();
  readonly #timer: NodeJS.Timeout;

  private constructor(dhcp: Socket) {
    this.#dhcp = dhcp;
    dhcp.on('message', (bytes) => {
      if (bytes.length < 8) return;
      this.#machines.get(bytes.readUInt32BE(4))?.firmware.onDhcp(bytes);
    });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Takes port 68 of every address. Rejects where somebody has it. */
  static async open(): Promise<Segment> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER });
    socket.bind(CLIENT_PORT, '0.0.0.0');
    await once(socket, 'listening');
    socket.setBroadcast(true);
    return new Segment(socket);
  }

  /** A machine that is switched off. Its xid must be its alone. */
  add({ identity, xid, wishes, store }: MachineOptions): SimulatedFirmware {
    const machine: Machine = {
      transfer: undefined,
      firmware: new SimulatedFirmware({
        identity,
        xid,
        wishes,
        port: {
          now: () => performance.now(),
          sendDhcp: (bytes) => this.#dhcp.send(bytes, SERVER_PORT, '255.255.255.255'),
          sendTftp: (bytes, to) => machine.transfer?.socket.send(bytes, to.port, to.address),
          beginTransfer: (address) => begin(machine, address),
          store,
        },
      }),
    };
    this.#machines.set(xid, machine);
    return machine.firmware;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#dhcp.close();
    for (const { transfer } of this.#machines.values()) transfer?.socket.close();
    this.#machines.clear();
  }

  #tick(): void {
    const now = performance.now();
    for (const { firmware } of this.#machines.values()) if (firmware.wakeAt <= now) firmware.onTime();
  }
}

function begin(machine: Machine, address: string): void {
  const before = machine.transfer?.socket;
  // What it sent last, the word that ends the transfer, may still be on its way out.
  if (before !== undefined) setImmediate(() => before.close());
  const socket = createSocket({ type: 'udp4', lookup: (host, _options, done) => done(null, host, 4) });
  socket.bind(0, address);
  machine.transfer = { socket };
  socket.on('message', (bytes, from) => machine.firmware.onTftp(bytes, from));
}
