/** What the agent endpoint tells of its connections: events, and counts of what was refused. */
import type { Hello, Step, StepDetail } from '../../agent/protocol/messages.ts';
import type { Admission } from '../definitions/admit.ts';
import type { Tally } from '../journal/tally.ts';
import type { NodeConfig } from '../model/config.ts';
import type { Fallback } from '../model/fallback.ts';
import type { RefusalView } from '../model/views.ts';
import { shortened } from './directory.ts';
import { Duplicates } from './duplicates.ts';
import type { Change } from './liveness.ts';
import type { AgentServerOptions } from './options.ts';
import type { Peer } from './peers.ts';
import { Refusals } from './refusals.ts';
import type { Claim } from './session.ts';

/** Reasons and addresses of refusals that are logged; more are only counted, so that a flood cannot fill the log. */
const MOST_LOGGED = 1000;

/** A UID, or the id of a definition, says who somebody is; a MAC and an address are what it has. */
const AS: Record<Claim['by'], RefusalView['as']> = {
  key: 'claim',
  uid: 'claim',
  mac: 'mac',
  address: 'address',
};

/** Somebody who was not let in. */
export interface Refused {
  reason: string;
  why: string;
  address?: string;
  claim?: Claim;
}

export class Reports {
  readonly refusals = new Refusals();
  readonly duplicates = new Duplicates();
  readonly #options: AgentServerOptions;
  readonly #tally: Tally;
  readonly #isConnected: (node: string) => boolean;
  /** What was logged of refusals. */
  readonly #logged = new Set<string>();

  constructor(options: AgentServerOptions, tally: Tally, isConnected: (node: string) => boolean) {
    this.#options = options;
    this.#tally = tally;
    this.#isConnected = isConnected;
  }

  /** A node was taken in. */
  hello(at: number, peer: Peer, { name: node, uid: expected }: NodeConfig, by: string, hello: Hello): void {
    const { log } = this.#options;
    const deployment = hello.pointer?.deployment ?? '';
    const { uid, bootId, bootedImage, uptime } = hello;
    this.#event(at, peer, 'hello', node, { by, bootId, bootedImage, deployment, uptime });
    log.info({ node, address: peer.connection.peer, by: peer.defined ?? by, deployment }, 'welcome');
    if (by === 'mac' && expected !== undefined)
      log.warn({ node, uid, expected }, 'node known by its MAC has another UID');
  }

  /** An agent at `address` has taken the place of another that is alive, at `former`. */
  duplicate(node: string, former: string, address: string): void {
    const at = this.#options.clock.now();
    this.#tally.count('duplicate');
    if (!this.duplicates.note(node, former, address, at)) return;
    const addresses = [former, address].join(', ');
    const words =
      "two agents speak for one node and take each other's place: a copy of its disk or store is at work";
    this.#options.log.warn({ node, addresses }, words);
    this.#options.sink({ at, component: 'imager', step: 'duplicate', node, address, detail: { addresses } });
  }

  /** A step. One of an earlier boot, told now, is `earlier`: it says nothing of how far the present one has come. */
  step(at: number, peer: Peer, node: string, { step, uptime, boot, detail = {} }: Step): void {
    const words = { ...shortened(detail), uptime };
    if (boot === undefined) this.#event(at, peer, step, node, words);
    else this.#event(at, peer, 'earlier', node, { ...words, step, bootId: boot.id });
  }

  /** How a node or an adapter of its has changed. */
  liveness(at: number, change: Change): void {
    const detail: StepDetail =
      change.kind === 'lost'
        ? { silentSeconds: Math.round(change.silentMs / 1000) }
        : {
            adapter: change.adapter.name,
            state: change.adapter.state,
            ...(change.was === null ? {} : { was: change.was }),
          };
    this.#options.sink({ at, component: 'agent', step: change.kind, node: change.node, detail });
  }

  /** What was done to a node's definition as it came. That it was not taken in is told of its connection's end. */
  admission(peer: Peer, node: string, { uid, local }: Hello, { deeds, ...outcome }: Admission): void {
    const { id, number } = outcome.admitted
      ? outcome.definition
      : { id: local?.id ?? '', number: local?.number ?? 0 };
    if (deeds.includes('define')) this.duplicates.settle(node);
    for (const deed of deeds) {
      this.#tally.count(`definition.${deed}`);
      this.#event(this.#options.clock.now(), peer, deed, node, { uid, definition: id, number });
    }
  }

  fallback(at: number, peer: Peer, node: string, fallback: Fallback): void {
    this.#event(at, peer, 'fallback', node, known(fallback), 'no-attempts-left');
  }

  /** A node's pointer names the disk of another. */
  foreignDisk(at: number, peer: Peer, node: string, disk: string, owner: string): void {
    const words = 'the pointer names the disk of another node';
    this.#tally.notice('refused.disk-of-other', { node, disk, owner }, words);
    this.#event(at, peer, 'claim', node, { disk, owner }, 'disk-of-other');
  }

  /** What a node consists of is known, or has changed: what the imager makes of it, not a step of its boot. */
  resources(at: number, node: string, detail: StepDetail): void {
    this.#options.sink({ at, component: 'imager', step: 'resources', node, detail });
  }

  /** A connection ended; `reason`: fixed word where this side ended it. */
  ended(peer: Peer, reason: string | undefined, why: string): void {
    const { node, claim } = peer;
    const address = peer.connection.peer;
    if (node !== undefined) {
      this.#tally.count(`closed.${reason ?? 'by-agent'}`);
      this.#event(this.#options.clock.now(), peer, 'disconnect', node, { why }, reason);
    } else if (reason === undefined) this.#tally.count('closed.before-hello');
    else this.refused({ reason, why, address, ...(claim === undefined ? {} : { claim }) });
  }

  /** Somebody was not let in. What it has to do with which node is said as far as it is known. */
  refused({ reason, why, address, claim }: Refused): void {
    const at = this.#options.clock.now();
    const owner = claim === undefined && address !== undefined ? this.#ownerOf(address) : undefined;
    const node = claim?.node ?? owner;
    const words = owner === undefined ? why : `${why} (from the address of ${owner})`;
    const as = claim === undefined ? 'address' : asOf(claim);
    if (node !== undefined && address !== undefined)
      this.refusals.note(node, { reason, why, address, as }, at);
    this.#logRefusal(reason, address, words);
    // While the node itself is connected, who says to be it is somebody else.
    const its = claim !== undefined && (claim.key === 'present' || !this.#isConnected(claim.node));
    this.#options.sink({
      at,
      component: 'agent',
      step: 'refused',
      reason,
      ...(its ? { node: claim.node } : {}),
      ...(address === undefined ? {} : { address }),
      detail: { why: words },
    });
  }

  /** Somebody was not let in before its connection was secured; `identity`: the definition it said it has. */
  unsecured(reason: string, address: string, why: string, identity = ''): void {
    const node = this.#options.admissions.definedAs(identity)?.name;
    this.refused({
      reason,
      address,
      why,
      ...(node === undefined ? {} : { claim: { node, by: 'key', key: 'none' } }),
    });
  }

  /** Something of a connection that speaks for `node`. */
  #event(at: number, peer: Peer, step: string, node: string, detail: StepDetail, reason?: string): void {
    this.#options.sink({
      at,
      component: 'agent',
      step,
      node,
      address: peer.connection.peer,
      ...(reason === undefined ? {} : { reason }),
      detail,
    });
  }

  /** The node an address is reserved for, else the one that was taken in there last. */
  #ownerOf(address: string): string | undefined {
    const { nodes, directory } = this.#options;
    return nodes.byAddress(address)?.name ?? directory.lastAt(address);
  }

  #logRefusal(reason: string, address: string | undefined, words: string): void {
    this.#tally.count(`dropped.${reason}`);
    const what = `${reason} ${address ?? ''}`;
    if (this.#logged.has(what) || this.#logged.size >= MOST_LOGGED) return;
    this.#logged.add(what);
    this.#options.log.warn({ reason, address }, `agent refused: ${words}; further ones are counted`);
  }
}

function asOf({ key, by }: Claim): RefusalView['as'] {
  if (key === 'none') return AS[by];
  return key === 'present' ? 'key' : 'former';
}

/** An event's detail has no nulls. */
function known({ image, failed, attempts, why }: Fallback): StepDetail {
  return {
    ...{ image, failed, attempts },
    ...(why === null ? {} : { why }),
  };
}
