/** Boot pointers that nodes are told to write: which disks they may name, and one at a time for each node. */
import type { Flash } from '../../agent/protocol/messages.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { fetchMs } from '../../agent/protocol/signed-image.ts';
import type { Flashed } from '../model/views.ts';
import type { Ask } from './admissions.ts';
import type { Directory } from './directory.ts';
import { notConnected, type PushAnswer, PushError } from './pushes.ts';

/** What a node's pointer shall say; sequence, phase and attempts are the node's to fill in. */
export type FlashRequest = Omit<Flash, 'type' | 'request'>;

/** What a flash wrote, as views tell it. */
export type Written = Pick<Flashed, 'old' | 'pointer'>;

export interface Agents {
  isConnected(node: string): boolean;
  /** Asks the node; rejects with PushError. */
  push(node: string, ...question: Parameters<Ask>): Promise<PushAnswer>;
}

export class Flashes {
  readonly #directory: Directory;
  readonly #agents: Agents;
  /** Nodes whose answer is awaited. */
  readonly #underWay = new Set<string>();

  constructor(directory: Directory, agents: Agents) {
    this.#directory = directory;
    this.#agents = agents;
  }

  /**
   * Has the node write a new boot pointer. Resolves with the record it read back, and the one before it; rejects with
   * PushError where a disk is another node's, the node is being flashed already, is not connected, says it failed, goes
   * away, does not answer in time, or confirms something else.
   */
  async flash(node: string, request: FlashRequest): Promise<Written> {
    const [foreign] = this.#directory.foreignDisks(node, request.disks);
    if (foreign !== undefined)
      throw new PushError(
        'conflict',
        `disk ${foreign.disk} is ${foreign.owner}'s: flash that to another disk first, or, where its last flash did not ` +
          'end, have it boot',
      );
    if (!this.#agents.isConnected(node)) throw notConnected(node);
    if (this.#underWay.has(node)) throw new PushError('conflict', `${node} is being flashed already`);
    this.#underWay.add(node);
    try {
      // In the same turn as the question whose they are: nobody else comes between.
      const before = await this.#directory.claim(node, request.disks);
      // A hello meanwhile has ended the claim; from here to the push it is one turn.
      if (!this.#directory.hasClaim(node, request.disks))
        throw new PushError(
          'disconnected',
          `${node} has connected anew meanwhile: nothing was sent, flash it again`,
        );
      return await this.#write(node, request, before);
    } finally {
      this.#underWay.delete(node);
    }
  }

  /** `before`: what flashes before this one still claim. */
  async #write(node: string, request: FlashRequest, before: string[]): Promise<Written> {
    // Where it is to verify the image the node answers once it has fetched that.
    const moreMs = request.signed === undefined ? 0 : fetchMs(request.signed.files);
    const message = (id: number): Flash => ({ type: 'flash', request: id, ...request });
    const answer = this.#agents.push(node, 'flash', message, (usualMs) => usualMs + moreMs);
    const { pointer, former } = await answer.catch(async (error: PushError) => {
      // In all other cases nobody knows what the node has written, even where it says that it failed, which it does
      // of a write that it could not read back, too: its next hello tells.
      if (error.untouched) await this.#directory.spared(node, before);
      throw error;
    });
    if (pointer === undefined || !holds(pointer, request))
      throw new PushError('mismatch', `${node} confirmed another pointer than it was asked to write`);
    // The node's own word goes before what it said last: its pointer may have been set there since.
    const old = former === undefined ? (this.#directory.get(node)?.pointer ?? null) : former;
    await this.#directory.pointed(node, pointer);
    return { old, pointer };
  }
}

/** True where the record says what was asked for. */
function holds(pointer: BootPointer, request: FlashRequest): boolean {
  const fields = ['image', 'disks', 'imagers', 'cluster', 'deployment'] as const;
  return fields.every((field) => JSON.stringify(pointer[field]) === JSON.stringify(request[field]));
}
