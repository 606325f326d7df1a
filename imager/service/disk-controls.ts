/** What the control API does with disks beside making them. */
import type { DiskWork } from '../disks/disk-work.ts';
import type { Removals } from '../disks/removals.ts';
import type { DiskControls } from '../http/disk-routes.ts';
import { wish } from './wish.ts';

export function diskControls(work: DiskWork, removals: Removals): DiskControls {
  return {
    generations: (disk) => wish(() => work.generations(disk)),
    snapshot: (disk, label) => wish(() => work.snapshot(disk, label)),
    rollBack: (disk, id) => wish(() => work.rollBack(disk, id)),
    drop: (disk, id) => wish(() => work.drop(disk, id)),
    differences: (disk, from, to) => wish(() => work.differences(disk, from, to)),
    commit: (disk, base, id) => wish(() => work.commit(disk, base, id)),
    grow: (disk, size) => wish(() => work.grow(disk, size)),
    letGo: (disk) => wish(() => work.letGo(disk)),
    diskLoss: (disk) => wish(() => removals.diskLoss(disk)),
    removeDisk: (disk) => wish(() => removals.removeDisk(disk)),
  };
}
