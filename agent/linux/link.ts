/**
 * The node's link to its imagers, in order of preference: looked for as soon as there is a network, kept up for as long as the
 * node is, looked for again whenever it breaks. While another than the first answers, those before it are tried from time to
 * time. Where none answers the node is on its own, and keeps what it has to report (report-file.ts).
 */
import { preferredDelay, replacedDelay, retryDelay } from '../core/backoff.ts';
import type { ImagerLink } from '../ports.ts';
import type { MembershipRequest } from '../protocol/membership.ts';
import type { AgentMessage, Flash, Hello, ImagerMessage, Plan, StepDetail } from '../protocol/messages.ts';
import type { ScriptOutput } from '../protocol/output.ts';
import type { BootPointer } from '../protocol/pointer/record.ts';
import type { ResourcesMessage } from '../protocol/resources.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { Adapters } from './adapters.ts';
import { Conversation, failed, openFirst, RefusedError, ReplacedError, type Tell } from './conversation.ts';
import type { Requester, Written } from './flash.ts';
import type { BootIdentity } from './hello.ts';
import { type Host, HostError } from './host.ts';
import { type ImagerAddress, imagerText } from './imager-address.ts';
import { Outbox } from './outbox.ts';
import type { NodeSecret } from './secret.ts';
import { Standing } from './standing.ts';

/** A connection that is over sooner is no sign that all is well again. */
const STEADY_SECONDS = 5;
/** Time for the answer to a power request to leave. */
const ANSWER_MS = 50;
/** Time on its own that is worth a step. */
const DETACHED_SECONDS = 10;

/** What the link needs of the node, and what the imager may ask of it: throwing refuses that with the error's message. */
export interface Commands {
  /** What secures the next connection. */
  secret(): NodeSecret;
  /** Name of the cluster this node is defined in; undefined where it keeps no definition. */
  cluster(): string | undefined;
  /** The name the imager has for this node. */
  named(hostname: string): void;
  flash(request: Flash, by: Requester): Promise<Written>;
  /** Gives what is done once the answer has left. */
  power(action: 'reboot' | 'poweroff'): () => void;
  /** Something about the node's definition; gives the answer. */
  member(request: MembershipRequest): AgentMessage;
}

export class AgentLink implements ImagerLink {
  readonly #host: Host;
  readonly #imagers: readonly ImagerAddress[];
  readonly #hello: () => Hello;
  readonly #commands: Commands;
  readonly #outbox: Outbox;
  readonly #adapters: Adapters;
  readonly #standing: Standing;
  #active: Conversation | undefined;
  #renewal: Promise<unknown> | undefined;
  #refusedSince: number | undefined;
  #plan: Plan | null | undefined;
  readonly #planWaiters: ((plan: Plan | null) => void)[] = [];

  /** `hello` may throw, where what it tells cannot be read: then no imager is told anything. */
  constructor(
    host: Host,
    imagers: readonly ImagerAddress[],
    boot: BootIdentity,
    hello: () => Hello,
    commands: Commands,
  ) {
    this.#host = host;
    this.#imagers = imagers;
    this.#hello = hello;
    this.#commands = commands;
    this.#adapters = new Adapters(host);
    this.#standing = new Standing(host);
    this.#outbox = new Outbox(host, boot);
  }

  /** Keeps a connection up for ever. */
  async serve(): Promise<never> {
    let lost = this.#host.uptime();
    for (;;) {
      const since = this.#host.uptime();
      const found = await this.#first(this.#imagers);
      this.#refusedSince = found === 'refused' ? since : undefined;
      let why: Error | undefined;
      if (found instanceof Conversation) {
        const began = this.#host.uptime();
        why = await this.#follow(found);
        if (this.#host.uptime() - began > STEADY_SECONDS) lost = this.#host.uptime();
      } else this.#standing.detached(this.#planWaiters.length > 0);
      const [away, dice] = [(this.#host.uptime() - lost) * 1000, this.#host.random()];
      const refused = found === 'refused' || why instanceof RefusedError;
      const replaced = why instanceof ReplacedError;
      await this.#host.sleep(replaced ? replacedDelay(dice) : retryDelay(away, refused, dice));
    }
  }

  /** Uptime at which the present connection was begun; undefined where no imager has this node. */
  get connectedSince(): number | undefined {
    return this.#active?.since;
  }

  /** Uptime at which the last attempt was begun, where an imager refused it. Of renew() it is not told here. */
  get refusedSince(): number | undefined {
    return this.#refusedSince;
  }

  /** Connects anew, from the address the node has now. The present connection goes on until an imager welcomes it there. */
  renew(): Promise<'welcomed' | 'refused' | 'unreachable'> {
    const present = this.#active;
    const renewal = this.#first(this.#imagers).then((found) => {
      if (!(found instanceof Conversation)) return found;
      this.#adopt(found);
      present?.close();
      return 'welcomed';
    });
    this.#renewal = renewal;
    return renewal;
  }

  report(step: string, detail: StepDetail): void {
    this.#outbox.report(step, detail);
  }

  output(output: ScriptOutput): void {
    this.#outbox.output(output);
  }

  settle(milliseconds: number): Promise<void> {
    return this.#outbox.settle(milliseconds);
  }

  /** From here on what is not acknowledged outlives this process, in `directory`; what was kept there is reported too. */
  keepIn(directory: string): void {
    this.#outbox.keepIn(directory);
  }

  /** Tells the imager what the node consists of, now and at each join to come. */
  describe(discover: () => Omit<ResourcesMessage, 'type'>): void {
    this.#outbox.describe(discover);
  }

  /** Tells the imager what the pointer says now; one that is away hears it in the next hello. */
  pointed(pointer: BootPointer): void {
    this.#active?.send({ type: 'pointer', pointer });
  }

  plan(): Promise<Plan | null> {
    if (this.#plan !== undefined) return Promise.resolve(this.#plan);
    return new Promise((resolve) => {
      this.#planWaiters.push(resolve);
      this.#standing.waiting();
    });
  }

  #first(
    imagers: readonly ImagerAddress[],
    tell: Tell = (imager, why) => this.#standing.complain(imager, why),
  ) {
    const identity = { hello: this.#hello, secret: () => this.#commands.secret() };
    return openFirst(this.#host, imagers, identity, (from, message) => this.#take(from, message), tell);
  }

  /** Stays with a conversation, and with those that take its place, to the end of the last; gives why that ended. */
  async #follow(first: Conversation): Promise<Error> {
    this.#adopt(first);
    for (let conversation = first; ; ) {
      const why = await conversation.ended;
      // An imager ends it for one that is made anew, whose welcome may be on its way.
      await this.#renewal;
      const next = this.#active;
      if (next === undefined || next === conversation) {
        this.#active = undefined;
        this.#outbox.detach();
        this.#standing.complain(conversation.imager, why);
        this.#reportTampered(conversation.imager, why);
        return why;
      }
      conversation = next;
    }
  }

  #adopt(conversation: Conversation): void {
    const { welcome, imager } = conversation;
    const { node, hostname, plan } = welcome;
    this.#active = conversation;
    this.#commands.named(hostname);
    this.#plan = plan;
    for (const waiter of this.#planWaiters.splice(0)) waiter(plan);
    this.#outbox.attach(conversation);
    this.#reportDetached(imager, this.#standing.welcomed(imager, node, this.#commands.cluster()));
    void this.#preferOthers(conversation);
    void conversation.beat((imager) => this.#adapters.heartbeat(imager));
  }

  /** Looks for the imagers before the present one, for as long as it is that. */
  async #preferOthers(present: Conversation): Promise<void> {
    const better = this.#imagers.slice(0, this.#imagers.indexOf(present.imager));
    while (better.length > 0) {
      await this.#host.sleep(preferredDelay(this.#host.random()));
      if (present.over) return;
      const found = await this.#first(better, () => {});
      if (!(found instanceof Conversation)) continue;
      if (this.#active !== present) {
        found.close();
        return;
      }
      this.#adopt(found);
      present.close();
      return;
    }
  }

  #take(from: Conversation, message: ImagerMessage): void {
    switch (message.type) {
      case 'ack':
        this.#outbox.acknowledged(message.seq, message.boot);
        return;
      case 'kept':
        this.#outbox.outputKept(message.script, message.bootId);
        return;
      case 'flash':
        void this.#answer(from, message.request, async () => {
          const written = await this.#commands.flash(message, from);
          from.send({ type: 'done', request: message.request, ...written });
        });
        return;
      case 'power':
        void this.#answer(from, message.request, () => {
          const act = this.#commands.power(message.action);
          from.send({ type: 'done', request: message.request });
          void this.#afterAnswer(act);
        });
        return;
      case 'identify':
      case 'commit':
      case 'erase':
      case 'correct':
        void this.#answer(from, message.request, () => from.send(this.#commands.member(message)));
        return;
    }
  }

  async #answer(to: Conversation, request: number, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      to.send(failed(request, error));
    }
  }

  /** What goes wrong here can be told to nobody but who is at the node. */
  async #afterAnswer(act: () => void): Promise<void> {
    await this.#host.sleep(ANSWER_MS);
    try {
      act();
    } catch (error) {
      this.#host.print(`bootwright: ${wordsOf(error)}`);
    }
  }

  /** Told to the next imager: whoever is in between may have kept the alert of this end from the last. */
  #reportTampered(imager: ImagerAddress, why: Error): void {
    if (why instanceof HostError && why.code === 'EPROTO')
      this.report('tampered', { imager: imagerText(imager), why: why.message });
  }

  /** An imager answers: says for how long none did, where that is worth it. */
  #reportDetached(imager: ImagerAddress, seconds: number): void {
    const dropped = this.#outbox.takeDropped();
    if (seconds < DETACHED_SECONDS && dropped === 0) return;
    this.report('detached', { seconds, imager: imagerText(imager), ...(dropped === 0 ? {} : { dropped }) });
  }
}
