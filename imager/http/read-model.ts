/** What the read API shows; the service provides it, so that this room knows no other server. */
import type { BaseView } from '../disks/base-record.ts';
import type { DiskView } from '../disks/catalog.ts';
import type { DamagedView } from '../disks/damaged.ts';
import type { BootImage } from '../images/image.ts';
import type { BootsView } from '../journal/attempts.ts';
import type { RecordedEvent } from '../journal/event.ts';
import type { EventQuery } from '../journal/recorder.ts';
import type { NodeMenus } from '../menus/views.ts';
import type { ResourcesView } from '../model/inventory.ts';
import type { BootReads, Health, NodeDetails, NodeView } from '../model/views.ts';

export interface ReadModel {
  health(): Health;
  nodes(): NodeView[];
  node(name: string): NodeDetails | undefined;
  /** What a node consists of; undefined where there is no such node. */
  resources(node: string): ResourcesView | undefined;
  /** What a node would be given to boot; undefined where there is no such node. */
  menus(node: string): NodeMenus | undefined;
  images(): BootImage[];
  /** With what is known of boots over each; null where there was none. Damaged ones, too. */
  bases(): Promise<((BaseView & { boot: BootReads | null }) | DamagedView)[]>;
  disks(): (DiskView | DamagedView)[];
  diskNames(): string[];
  disk(name: string): DiskView | undefined;
  leases(): readonly object[];
  events(query: EventQuery): RecordedEvent[];
  /**
   * The `last` attempts to boot of whoever `who` means (a node's name, a MAC, an address), and the events after those;
   * undefined where it means nobody. The view rejects with BusyError where too many ask at once.
   */
  boots(
    who: string,
    last: number,
  ):
    | { view: Promise<BootsView>; watch: (listener: (event: RecordedEvent) => void) => () => void }
    | undefined;
  /** Counters of the servers, by server. */
  stats(): Record<string, Record<string, number>>;
  /** What servers have at the moment, by server: values that also fall. */
  gauges(): Record<string, Record<string, number>>;
  /** Calls `listener` with each event to come, while this process runs. */
  watch(listener: (event: RecordedEvent) => void): void;
}
