/** The agent endpoint: who is connected, what they report, and what is pushed to them. */
import { ENROL_IDENTITY } from '../../agent/protocol/enrolment.ts';
import { Tally } from '../journal/tally.ts';
import { LOST_SECONDS } from '../model/config.ts';
import type { Liveness, NodeDetails, Undefined } from '../model/views.ts';
import { Conversations, undefinedWords } from './conversations.ts';
import { Flashes, type FlashRequest, type Written } from './flashes.ts';
import { Listener } from './listener.ts';
import { type AgentServerOptions, HELLO_MS, MAX_CONNECTIONS } from './options.ts';
import { type ConnectedNode, Peers } from './peers.ts';
import { Reports } from './reports.ts';
import { secureServer } from './secure.ts';
import { Watch } from './watch.ts';

/** Longer than a connection lingers that was told of the end. */
const CLOSE_MS = 1500;
/** Ports that are tried where the system chooses. */
const PORT_TRIES = 16;

export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #listener: Listener;
  readonly #peers = new Peers();
  readonly #flashes: Flashes;
  readonly #tally: Tally;
  readonly #reports: Reports;
  readonly #watch: Watch;
  readonly #conversations: Conversations;

  private constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#tally = new Tally(options.log);
    this.#reports = new Reports(options, this.#tally, (node) => this.#peers.of(node) !== undefined);
    this.#watch = new Watch(options.lostMs ?? LOST_SECONDS * 1000, options.clock, this.#reports);
    const { enrolmentKey, admissions } = options;
    const server = secureServer(
      {
        keyOf: (identity) => (identity === ENROL_IDENTITY ? enrolmentKey : admissions.keyOf(identity)),
        secured: (socket, identity) => this.#conversations.begin(socket, identity),
        refused: (...refusal) => this.#reports.unsecured(...refusal),
        abandoned: () => this.#tally.count('closed.in-handshake'),
      },
      options.helloMs ?? HELLO_MS,
    );
    this.#listener = new Listener(server);
    this.#conversations = new Conversations({
      ...{ options, peers: this.#peers, reports: this.#reports },
      ...{ tally: this.#tally, watch: this.#watch },
    });
    this.#flashes = new Flashes(options.directory, {
      isConnected: (node) => this.#peers.of(node) !== undefined,
      push: (...question) => this.#conversations.push(...question),
    });
  }

  /** Listens, for connections and for datagrams on one port. Rejects with the system's error where it cannot. */
  static async start(options: AgentServerOptions): Promise<AgentServer> {
    for (let tries = 1; ; tries++) {
      const agents = new AgentServer(options);
      try {
        await agents.#listen();
        return agents;
      } catch (error) {
        await agents.close();
        // The system chooses a port that is free for TCP; it may not be for the datagrams.
        const another = options.port === 0 && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
        if (!another || tries === PORT_TRIES) throw error;
      }
    }
  }

  async #listen(): Promise<void> {
    const { address, port, maxConnections, nodes } = this.#options;
    const most = maxConnections ?? MAX_CONNECTIONS + nodes.all.length;
    await this.#listener.listen(address, port, {
      maxConnections: most,
      full: () => this.#reports.refused({ reason: 'too-many-connections', why: 'the endpoint is full' }),
      failed: ({ message }) =>
        this.#tally.notice('accept-errors', { message }, 'agent not accepted; further ones are counted'),
    });
    await this.#watch.listen(address, this.port, (what) => this.#tally.count(what));
  }

  get port(): number {
    return this.#listener.port;
  }

  /** Counts since the start, by what and why. */
  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** How many there are now. */
  gauges(): { connections: number; nodes: number } {
    return this.#peers.gauges();
  }

  /** Nodes whose agent is connected and welcomed. */
  connected(): ConnectedNode[] {
    return this.#peers.connected();
  }

  /** What a node's heartbeats say. */
  liveness(node: string): Liveness {
    return this.#watch.view(node);
  }

  /** Who was not let in as a node, and whether it has two agents. */
  troubles(node: string): Pick<NodeDetails, 'refusals' | 'duplicate'> {
    const { refusals, duplicates } = this.#reports;
    return { refusals: refusals.of(node), duplicate: duplicates.of(node, this.#options.clock.now()) };
  }

  /** Has the node write a new boot pointer: `Flashes.flash`. */
  flash(node: string, request: FlashRequest): Promise<Written> {
    return this.#flashes.flash(node, request);
  }

  /** Has the node reboot or power off. Resolves once the agent says it does; rejects with PushError. */
  async power(node: string, action: 'reboot' | 'poweroff'): Promise<void> {
    await this.#conversations.push(node, action, (request) => ({ type: 'power', request, action }));
  }

  /** Deletes a node's definition on both sides: `Admissions.undefine`. Its connection ends with that. */
  async undefine(node: string): Promise<Omit<Undefined, 'node'>> {
    const { admissions } = this.#options;
    const done = await admissions.undefine(node, () => this.#conversations.asking(node));
    this.#peers.of(node)?.connection.drop('undefined', undefinedWords(node));
    this.#reports.duplicates.settle(node);
    return done;
  }

  /** Resolves when no connection is left. */
  async close(): Promise<void> {
    // What is in the middle of its handshake is no peer yet, and ends when it likes.
    const closed = this.#listener.close(CLOSE_MS);
    for (const { connection } of this.#peers.all()) connection.drop('imager-stops', 'the imager stops');
    await Promise.all([closed, this.#watch.close()]);
  }
}
