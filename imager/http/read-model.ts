/** What the read API shows; the service provides it, so that this room knows no other server. */
import type { BaseView } from '../disks/bases.ts';
import type { DiskView } from '../disks/catalog.ts';
import type { BootImage } from '../images/image.ts';
import type { EventCount, EventQuery, RecordedEvent } from '../journal/recorder.ts';
import type { Health, NodeDetails, NodeView } from '../model/views.ts';

export interface ReadModel {
  health(): Health;
  nodes(): NodeView[];
  node(name: string): NodeDetails | undefined;
  images(): BootImage[];
  bases(): BaseView[];
  disks(): DiskView[];
  diskNames(): string[];
  disk(name: string): DiskView | undefined;
  leases(): readonly object[];
  events(query: EventQuery): RecordedEvent[];
  /** Counters of the servers, by server. */
  stats(): Record<string, Record<string, number>>;
  /** What servers have at the moment, by server: values that also fall. */
  gauges(): Record<string, Record<string, number>>;
  eventCounts(): EventCount[];
}
