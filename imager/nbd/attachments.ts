/**
 * Who has which writable disk: one client at a time, over one connection or several (NBD_FLAG_CAN_MULTI_CONN).
 *
 * Nothing in the protocol tells a client's second connection from its first one after a crash, a reboot or a cut
 * cable, of which the server may not have heard yet. They must not be mixed up: a request that was under way on a lost
 * connection, and that its client has sent again on the new one, must not be carried out late, over what came after.
 * So a comeback ends the earlier connections, in order, before it has the disk. What tells the two apart is that clients
 * which want several open all of them before they use any (nbd-client -C, libnbd's nbdcopy and nbdfuse), and at
 * once: a connection joins its client's others while none of them has sent a request and the first is not older than
 * JOIN_MS; else it takes over.
 */
import type { Disk } from '../disks/disk.ts';

/** Handshakes of 16 connections with TLS take less; a reboot takes longer, as does noticing that a connection is dead. */
const JOIN_MS = 5_000;

/** A connection that may have a disk. */
export interface Holder {
  /** The client, as it is told from others: what it proved, else its address. */
  readonly client: string;
  /** Where it comes from. */
  readonly address: string;
  readonly port: number;
  /** Requests it has sent. */
  readonly requests: number;
  /** Resolves once it has given its disk back, which is for `by`. */
  stop(reason: 'takeover', by: Holder): Promise<void>;
}

interface Attachment {
  disk: Disk;
  client: string;
  since: number;
  holders: Set<Holder>;
  /** A connection that is gone had sent requests. */
  used: boolean;
}

export class Attachments {
  readonly #held = new Map<string, Attachment>();

  /**
   * The disk of that name where `holder` may join those that have it; undefined where it is to be opened anew: then its
   * client's earlier connections have given it back. Other clients' are left alone. `now` in milliseconds.
   */
  async join(name: string, holder: Holder, now: number): Promise<Disk | undefined> {
    const held = this.#held.get(name);
    if (held === undefined || held.client !== holder.client) return undefined;
    const used = held.used || [...held.holders].some(({ requests }) => requests > 0);
    if (!used && now - held.since < JOIN_MS) {
      held.holders.add(holder);
      return held.disk;
    }
    await Promise.all([...held.holders].map((earlier) => earlier.stop('takeover', holder)));
    return undefined;
  }

  /** Notes a disk that was opened for `holder`. */
  add(disk: Disk, holder: Holder, now: number): void {
    const { client } = holder;
    this.#held.set(disk.name, { disk, client, since: now, holders: new Set([holder]), used: false });
  }

  /** A connection gives its disk back, which the last of them closes. */
  async leave(disk: Disk, holder: Holder): Promise<void> {
    const held = this.#held.get(disk.name);
    if (held?.disk !== disk || !held.holders.delete(holder)) return;
    held.used ||= holder.requests > 0;
    if (held.holders.size > 0) return;
    this.#held.delete(disk.name);
    await disk.close();
  }
}
