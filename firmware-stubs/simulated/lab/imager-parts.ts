/** What a simulated imager is made of. */
import type { EventSink } from '../../../imager/journal/event.ts';
import type { ImagerConfig } from '../../../imager/model/config.ts';
import type { SimulatedDisk } from './disk.ts';
import type { VirtualTime } from './time.ts';

/** What a boot image is to a simulated node. */
export interface SimulatedImage {
  /** False: its kernel finds no init and panics. */
  boots: boolean;
}

export interface ImagerParts {
  time: VirtualTime;
  config: ImagerConfig;
  images: ReadonlyMap<string, SimulatedImage>;
  disks: ReadonlyMap<string, SimulatedDisk>;
  /** Address of each node, by its name. */
  addressOf(node: string): string;
  sink: EventSink;
}
