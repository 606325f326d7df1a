/** Network block devices of the QuickJS host: the kernel's client, told over generic netlink. */
import * as bw from 'bw';
import type { DiskPack, NbdAttachment } from '../linux/host.ts';
import { HostError } from '../linux/host.ts';
import type { SocketConnection } from './connection.ts';
import { POLLIN, watch } from './loop.ts';
import type { Family, NetlinkMessage } from './nbd-netlink.ts';
import {
  connectRequest,
  familyRequest,
  parseAcknowledgement,
  parseFamily,
  parseLinkDead,
  parseMessages,
  reconfigureRequest,
} from './nbd-netlink.ts';

const DATAGRAM_MAX = 32 * 1024;
const EVENT_GROUP = 'nbd_mc_group';
/** Errnos the kernel's nbd driver answers with; others are shown by number. */
const ERRNO: Record<number, string> = {
  1: 'EPERM',
  2: 'ENOENT',
  12: 'ENOMEM',
  16: 'EBUSY',
  22: 'EINVAL',
  95: 'EOPNOTSUPP',
};

export class NbdDevices {
  #sequence = 0;
  #family: Family | undefined;
  #events: number | undefined;
  /** Devices whose connection died while nobody waited for it. */
  readonly #dead = new Set<number>();
  readonly #waiting = new Map<number, (() => void)[]>();

  /** /dev/nbd`index` lives on the connection from here on; this process lets go of it. */
  attach(connection: SocketConnection, attachment: NbdAttachment): void {
    this.#give(connection.release(), attachment, connectRequest);
  }

  /** As attach(), with a relay in between. Undefined, or why it could not be; the connection is as it was then. */
  attachPacked(
    connection: SocketConnection,
    attachment: NbdAttachment,
    { name, bytes }: DiskPack,
  ): string | undefined {
    const relay = bw.relay(connection.descriptor, name, attachment.sizeBytes, bytes);
    if (typeof relay === 'string') return relay;
    // The relay has it now.
    bw.close(connection.release());
    this.#give(relay, attachment, connectRequest);
    return undefined;
  }

  reattach(connection: SocketConnection, attachment: NbdAttachment): void {
    this.#give(connection.release(), attachment, reconfigureRequest);
  }

  linkDead(index: number): Promise<void> {
    this.#listen();
    this.#takeEvents();
    if (this.#dead.delete(index)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.set(index, [...(this.#waiting.get(index) ?? []), resolve]);
      this.#watchEvents();
    });
  }

  #give(fd: number, attachment: NbdAttachment, request: typeof connectRequest): void {
    try {
      // Before the kernel has the connection: its death must find a listener.
      this.#listen();
      this.#takeEvents();
      this.#call(`/dev/nbd${attachment.index}`, request(this.#nbd().id, ++this.#sequence, attachment, fd));
    } finally {
      // The kernel holds the socket by itself; closing ours does not shut it down.
      bw.close(fd);
    }
    this.#dead.delete(attachment.index);
  }

  #nbd(): Family {
    if (this.#family === undefined) {
      const replies = this.#call('netlink family nbd', familyRequest(++this.#sequence, 'nbd'));
      this.#family = replies.map(parseFamily).find((family) => family !== undefined);
    }
    if (this.#family === undefined) throw new HostError('ENOENT', 'netlink family nbd: not understood');
    return this.#family;
  }

  /** Sends a request and gives what came before its acknowledgement. */
  #call(subject: string, message: Uint8Array): NetlinkMessage[] {
    const fd = bw.netlinkOpen(false);
    try {
      bw.write(fd, message);
      const replies: NetlinkMessage[] = [];
      for (;;) {
        const datagram = bw.read(fd, DATAGRAM_MAX);
        if (datagram === null) throw new HostError('ETIMEDOUT', `${subject}: no answer from the kernel`);
        for (const reply of parseMessages(new Uint8Array(datagram))) {
          const errno = parseAcknowledgement(reply);
          if (errno === 0) return replies;
          if (errno !== undefined)
            throw new HostError(ERRNO[errno] ?? 'EIO', `${subject}: refused by the kernel, errno ${errno}`);
          replies.push(reply);
        }
      }
    } finally {
      bw.close(fd);
    }
  }

  #listen(): void {
    if (this.#events !== undefined) return;
    const group = this.#nbd().groups.get(EVENT_GROUP);
    if (group === undefined)
      throw new HostError('ENOENT', `netlink group ${EVENT_GROUP}: not in this kernel`);
    this.#events = bw.netlinkOpen(true);
    bw.netlinkJoin(this.#events, group);
    this.#watchEvents();
  }

  #watchEvents(): void {
    if (this.#events === undefined) return;
    const ready = (): void => {
      this.#takeEvents();
      this.#watchEvents();
    };
    watch(this.#events, POLLIN, ready, this.#waiting.size === 0);
  }

  #takeEvents(): void {
    if (this.#events === undefined) return;
    for (;;) {
      const datagram = bw.read(this.#events, DATAGRAM_MAX);
      if (datagram === null) return;
      for (const message of parseMessages(new Uint8Array(datagram))) {
        const index = parseLinkDead(this.#nbd().id, message);
        if (index === undefined) continue;
        const waiting = this.#waiting.get(index);
        // A death is told once: to who waits for it, else to the next who asks.
        if (waiting === undefined) this.#dead.add(index);
        for (const resolve of waiting ?? []) resolve();
        this.#waiting.delete(index);
      }
    }
  }
}
