/** Flashes an imager asks for: the image is verified first, then the node's pointer store is written. */
import type { Flash, StepDetail } from '../protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../protocol/pointer/record.ts';
import { flashFault, type PlacedStore } from './eeprom.ts';
import type { Host } from './host.ts';
import { checkImage } from './image-check.ts';
import type { ImagerAddress } from './imager-address.ts';
import type { Membership } from './membership.ts';
import { TamperedError } from './trust.ts';

/** Whoever wants the node to be flashed: the conversation it was said in. */
export interface Requester {
  readonly imager: ImagerAddress;
  /** True once nobody waits for it any more. */
  readonly over: boolean;
}

/** What became of a flash: the record that was read back, and the one in force until then. */
export interface Written {
  pointer: BootPointer;
  former: BootPointer | null;
}

/** Why a flash was not begun: the pointer is what it was. */
export class UntouchedError extends Error {}

/** Tells the imager a step. */
type Tell = (step: string, detail: StepDetail) => void;

export class Flashes {
  readonly #host: Host;
  readonly #place: PlacedStore;
  readonly #membership: Membership;
  readonly #tell: Tell;
  /** Whose flash is being verified. */
  #by: Requester | undefined;

  constructor(host: Host, place: PlacedStore, membership: Membership, tell: Tell) {
    this.#host = host;
    this.#place = place;
    this.#membership = membership;
    this.#tell = tell;
  }

  /**
   * Verifies the image and writes the pointer, with the attempts of a new deployment; gives what became of it. Rejects
   * where the image is not what was signed, which is told as the step `tampered`, where nobody can tell, where whoever asked has
   * gone meanwhile, where another flash is not done, and where the store does not look like one: with UntouchedError, as nothing
   * is written then. Rejects, too, where what is written is not verified.
   */
  async flash(request: Flash, by: Requester): Promise<Written> {
    // One of a connection that is over writes nothing any more: it is in nobody's way.
    if (this.#by !== undefined && !this.#by.over)
      throw new UntouchedError(
        'the image of another flash is being verified: nothing is changed, flash again after that',
      );
    this.#by = by;
    try {
      await this.#verify(request, by.imager).catch((error: Error) => {
        if (error instanceof TamperedError)
          this.#tell('tampered', { image: request.image, why: error.message });
        throw new UntouchedError(error.message);
      });
      if (by.over) throw new UntouchedError('the imager that asked for it has hung up');
      return this.#write(request);
    } finally {
      if (this.#by === by) this.#by = undefined;
    }
  }

  async #verify(request: Flash, imager: ImagerAddress): Promise<void> {
    const { image } = request;
    const definition = this.#membership.current();
    if (definition === undefined) {
      this.#host.print(`bootwright: image ${image} is not verified: this node has no key of its cluster`);
      return;
    }
    const began = this.#host.uptime();
    const { files, bytes } = await checkImage(this.#host, definition, request, imager);
    const seconds = (this.#host.uptime() - began).toFixed(3);
    this.#host.print(
      `bootwright: image ${image} verified: ${files} served files of ${bytes} bytes in ${seconds} s`,
    );
  }

  #write({ image, disks, imagers, cluster, deployment }: Flash): Written {
    const { store, path } = this.#place;
    // Now: somebody at the node may have written it since this agent read it.
    const former = store.read().pointer ?? null;
    const fault = former === null ? flashFault(this.#host, this.#place) : undefined;
    if (fault !== undefined) throw new UntouchedError(`${path} was not written: ${fault}`);
    const pointer = store.write({
      ...{ image, disks, imagers, cluster, deployment, fallback: former?.fallback ?? '' },
      phase: 'deploy',
      attempts: FRESH_ATTEMPTS,
    });
    return { pointer, former };
  }
}
