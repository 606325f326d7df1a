/** The disks of a simulated imager: who may attach which by the imager's own policy, and who has. */
import { mayOpen } from '../../../imager/service/disk-policy.ts';
import type { SimulatedDisk } from './disk.ts';
import type { ImagerParts } from './imager-parts.ts';

export class Exports {
  readonly #parts: ImagerParts;
  /** What tells each that its disk is lost. */
  readonly #attached = new Map<string, () => void>();

  constructor(parts: ImagerParts) {
    this.#parts = parts;
  }

  /**
   * Opens a disk for a node; `lost` is called when the imager's end of it dies. Gives why not, in the words the node's
   * console shows. `ownerOf`: the node that a disk belongs to.
   */
  attach(
    node: string,
    disk: string,
    ownerOf: (disk: string) => string | undefined,
    lost: () => void,
  ): SimulatedDisk | string {
    const { disks, config, addressOf } = this.#parts;
    const found = disks.get(disk);
    if (found === undefined) return `export "${disk}": unknown here (there is no disk "${disk}")`;
    const may = mayOpen(
      disk,
      { address: addressOf(node) },
      {
        network: config.network,
        subnets: config.dhcp.subnets,
        ownerOf,
        // Nobody proves by TLS who he is.
        nodeNamed: () => undefined,
        isAt: (name, address) => addressOf(name) === address,
      },
    );
    if (may !== true) return `export "${disk}": not allowed (${may})`;
    this.#attached.set(`${node} ${disk}`, lost);
    return found;
  }

  /** The imager's ends of all of them die. */
  end(): void {
    for (const lost of this.#attached.values()) this.#parts.time.after(0, lost);
    this.#attached.clear();
  }
}
