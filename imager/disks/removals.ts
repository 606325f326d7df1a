/** Disks and base images removed for good: what goes with each is told before. For the control API and the command line. */
import type { BaseView } from './base-record.ts';
import type { Disks, DiskView } from './catalog.ts';
import type { DamagedView } from './damaged.ts';
import { BusyError, StoreError, UnknownNameError } from './store-error.ts';

export type DiskLoss = DiskView | DamagedView;
export type BaseLoss = BaseView | DamagedView;

/** Each rejects with UnknownNameError, with BusyError where somebody uses it, and with StoreError. */
export class Removals {
  readonly #disks: Disks;
  readonly #refuse: (disk: string) => void;

  /** `refuse` throws for a disk that is not to be removed though nobody has it. */
  constructor(disks: Disks, refuse: (disk: string) => void = () => {}) {
    this.#disks = disks;
    this.#refuse = refuse;
  }

  /** What goes with a disk that could be removed now. */
  async diskLoss(name: string): Promise<DiskLoss> {
    const loss = known(name, () => this.#disks.get(name));
    if ('attached' in loss)
      throw new BusyError(`disk "${name}" is in use by ${loss.attached}: stop that first`);
    this.#refuse(name);
    return loss;
  }

  /** Removes a disk. Gives what went with it. */
  async removeDisk(name: string): Promise<DiskLoss> {
    const loss = await this.diskLoss(name);
    await this.#disks.remove(name);
    return loss;
  }

  /** What goes with a base image that could be removed now. */
  async baseLoss(name: string): Promise<BaseLoss> {
    const loss = known(name, () => this.#disks.base(name));
    this.#disks.refuseBaseInUse(name);
    return loss;
  }

  /** Removes a base image, its trace and its pack. Gives what went with it. */
  async removeBase(name: string): Promise<BaseLoss> {
    const loss = await this.baseLoss(name);
    await this.#disks.removeBase(name);
    return loss;
  }
}

function known<T>(name: string, look: () => T): T | DamagedView {
  try {
    return look();
  } catch (error) {
    if (error instanceof UnknownNameError || !(error instanceof StoreError)) throw error;
    return { name, damage: error.message };
  }
}
