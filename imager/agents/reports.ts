/** What the agent endpoint tells of its connections: events, and counts of what was refused. */
import type { Hello, Step, StepDetail } from '../../agent/protocol/messages.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import type { Tally } from '../journal/tally.ts';
import type { Fallback } from '../model/fallback.ts';
import { shortened } from './directory.ts';
import type { Peer } from './peers.ts';

export class Reports {
  readonly #sink: EventSink;
  readonly #clock: Clock;
  readonly #tally: Tally;

  constructor(sink: EventSink, clock: Clock, tally: Tally) {
    this.#sink = sink;
    this.#clock = clock;
    this.#tally = tally;
  }

  /** Something of a connection that speaks for `node`. */
  event(at: number, peer: Peer, step: string, node: string, detail: StepDetail, reason?: string): void {
    this.#sink({
      at,
      component: 'agent',
      step,
      node,
      address: peer.connection.peer,
      ...(reason === undefined ? {} : { reason }),
      detail,
    });
  }

  hello(at: number, peer: Peer, node: string, by: string, hello: Hello): void {
    this.event(at, peer, 'hello', node, {
      by,
      bootId: hello.bootId,
      bootedImage: hello.bootedImage,
      deployment: hello.pointer?.deployment ?? '',
      uptime: hello.uptime,
    });
  }

  /** A step. One of an earlier boot, told now, is `earlier`: it says nothing of how far the present one has come. */
  step(at: number, peer: Peer, node: string, { step, uptime, boot, detail = {} }: Step): void {
    const words = { ...shortened(detail), uptime };
    if (boot === undefined) this.event(at, peer, step, node, words);
    else this.event(at, peer, 'earlier', node, { ...words, step, bootId: boot.id });
  }

  fallback(at: number, peer: Peer, node: string, fallback: Fallback): void {
    this.event(at, peer, 'fallback', node, known(fallback), 'no-attempts-left');
  }

  /** A node's pointer names the disk of another. */
  foreignDisk(at: number, peer: Peer, node: string, disk: string, owner: string): void {
    const words = 'the pointer names the disk of another node';
    this.#tally.notice('refused.disk-of-other', { node, disk, owner }, words);
    this.event(at, peer, 'claim', node, { disk, owner }, 'disk-of-other');
  }

  /** A connection ended; `reason`: fixed word where this side ended it. */
  ended(peer: Peer, reason: string | undefined, why: string): void {
    const { node } = peer;
    if (node === undefined) {
      if (reason !== undefined) this.refused(reason, peer.connection.peer, why);
      else this.#tally.count('closed.before-hello');
      return;
    }
    this.#tally.count(`closed.${reason ?? 'by-agent'}`);
    this.event(this.#clock.now(), peer, 'disconnect', node, { why }, reason);
  }

  /** Somebody was not let in. */
  refused(reason: string, address: string | undefined, why: string): void {
    const words = `agent refused: ${why}; further ones are counted`;
    this.#tally.notice(`dropped.${reason}`, { reason, address }, words);
    this.#sink({
      at: this.#clock.now(),
      component: 'agent',
      step: 'refused',
      reason,
      ...(address === undefined ? {} : { address }),
      detail: { why },
    });
  }
}

/** An event's detail has no nulls. */
function known({ image, failed, attempts, why }: Fallback): StepDetail {
  return {
    ...{ image, failed, attempts },
    ...(why === null ? {} : { why }),
  };
}
