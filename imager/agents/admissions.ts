/** Nodes on their way into the cluster, one way at a time for each: imager/definitions over the agents' connections. */
import type { Flash, Hello, ImagerMessage, Plan } from '../../agent/protocol/messages.ts';
import { imageBytes, planBytes } from '../../agent/protocol/signed.ts';
import type { ServedFile } from '../../agent/protocol/signed-image.ts';
import { parseUid } from '../../agent/protocol/uid.ts';
import { type Admission, admit, erase, type NodeEnd } from '../definitions/admit.ts';
import type { GlobalDefinition } from '../definitions/definition.ts';
import type { Definitions } from '../definitions/store.ts';
import type { Clock } from '../journal/clock.ts';
import type { Enrolment, NodeConfig } from '../model/config.ts';
import type { Undefined } from '../model/views.ts';
import type { Directory } from './directory.ts';
import { type Deadline, type PushAnswer, PushError } from './pushes.ts';

/** Sends a request over one connection, and gives what it answers. Rejects with PushError. */
export type Ask = (
  what: string,
  message: (request: number) => ImagerMessage,
  deadline?: Deadline,
) => Promise<PushAnswer>;

/**
 * How long an agent has to show that it is there: less than a hello may wait for its welcome. One that is answers in milliseconds; where
 * its node has booted anew, the kernel ends the connection as fast.
 */
const PRESENT_MS = 2000;

export interface AdmissionsOptions {
  definitions: Definitions;
  enrolment: Enrolment;
  clock: Clock;
}

export class Admissions {
  readonly definitions: Definitions;
  readonly #options: AdmissionsOptions;
  /** The end of what is under way with each node. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: AdmissionsOptions) {
    this.#options = options;
    this.definitions = options.definitions;
  }

  /** Whose definition has this id, also where it was deleted. */
  definedAs(id: string): { name: string; deleted: boolean } | undefined {
    const entry = this.definitions.byId(id);
    return entry && { name: entry.name, deleted: entry.state === 'undefining' };
  }

  /** Key of the definition with this id, also of one that was deleted; undefined where there is none. */
  keyOf(id: string): Uint8Array | undefined {
    return this.definitions.byId(id)?.key ?? undefined;
  }

  /** Whether the node is defined at this moment. */
  stands(node: string): boolean {
    return this.definitions.ofNode(node)?.state === 'defined';
  }

  /** The plan, signed for the node of this definition where it can check that. */
  seal(plan: Plan, { name, key }: GlobalDefinition): Plan {
    if (key === null) return plan;
    const { cluster, signer } = this.definitions;
    return { ...plan, signature: signer.sign(planBytes({ cluster: cluster.id, node: name }, plan)) };
  }

  /** The files of an image that is to be flashed, signed for the node; undefined where it cannot check that. */
  sealImage(
    node: string,
    target: Pick<Flash, 'image' | 'deployment'>,
    files: ServedFile[],
  ): { files: ServedFile[]; signature: Uint8Array } | undefined {
    if (!this.definitions.ofNode(node)?.key) return undefined;
    const { cluster, signer } = this.definitions;
    return { files, signature: signer.sign(imageBytes({ cluster: cluster.id, node }, target, files)) };
  }

  /**
   * Judges a hello. `identity`: of the key that secures the connection; `directory`: which disks nodes were flashed with; `present`:
   * asks the agent that was welcomed as the node, if one is connected. Rejects as `admit` does.
   */
  admit(
    node: NodeConfig,
    hello: Pick<Hello, 'uid' | 'local' | 'keeps' | 'keptOn'>,
    from: {
      address: string;
      identity: string | undefined;
      directory: Pick<Directory, 'flashed'>;
      present: Ask;
    },
    ask: Ask,
  ): Promise<Admission> {
    const { definitions, enrolment, clock } = this.#options;
    const { local, keeps, keptOn } = hello;
    const { directory, present, ...where } = from;
    const flashed = (before: string, to: string) => directory.flashed(node.name, before, to);
    const uid = parseUid(hello.uid);
    return this.#inTurn(node.name, async () => {
      if (uid === undefined) {
        const why = `${node.name} says ${hello.uid}, which is no UID`;
        return { admitted: false, reason: 'uid', why, deeds: [] };
      }
      const isPresent = () => answers(present, definitions.cluster.id);
      const applicant = { name: node.name, ...where, uid, local, keeps, keptOn, flashed, isPresent };
      return admit(applicant, endOf(ask), definitions, { enrolment, now: () => clock.now() });
    });
  }

  /** The node is to be defined at its next hello. Rejects with TakenError. */
  define(node: string, number?: number): Promise<void> {
    return this.#inTurn(node, () => this.definitions.want(node, number));
  }

  /**
   * Deletes the definition of a node, which then is not taken in before it is defined again. `asking`: how to ask it, where it is
   * connected once what is under way with it is over.
   */
  undefine(node: string, asking: () => Ask | undefined): Promise<Omit<Undefined, 'node'>> {
    return this.#inTurn(node, async () => {
      const entry = this.definitions.ofNode(node);
      await this.definitions.close(node);
      const ask = entry === undefined || entry.key === null ? undefined : asking();
      if (entry !== undefined && ask !== undefined)
        await erase(entry.id, endOf(ask), this.definitions).catch((error: unknown) => {
          if (!(error instanceof PushError)) throw error;
        });
      if (entry === undefined) return { defined: false, erased: this.definitions.leftOf(node).length === 0 };
      return { defined: true, erased: this.definitions.byId(entry.id) === undefined };
    });
  }

  #inTurn<T>(node: string, work: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(node);
    const turn = before === undefined ? work() : before.then(work);
    const end = turn.then(
      () => undefined,
      () => undefined,
    );
    this.#turns.set(node, end);
    void end.then(() => {
      if (this.#turns.get(node) === end) this.#turns.delete(node);
    });
    return turn;
  }
}

/**
 * Whether an agent is there at this moment: its connection alone may outlast it by half a minute. One that says it cannot tell (a
 * damaged store) is. `cluster`: its id.
 */
function answers(ask: Ask, cluster: string): Promise<boolean> {
  const atMost = (usualMs: number) => Math.min(usualMs, PRESENT_MS);
  return ask('identify', (request) => ({ type: 'identify', request, cluster }), atMost).then(
    () => true,
    (error: unknown) => error instanceof PushError && error.reason === 'refused',
  );
}

function endOf(ask: Ask): NodeEnd {
  return {
    identify: async (cluster) => {
      const { identified } = await ask('identify', (request) => ({ type: 'identify', request, cluster }));
      if (identified === undefined) throw new PushError('mismatch', 'did not say who it is');
      return { uid: parseUid(identified.uid) ?? '', local: identified.local };
    },
    commit: async (definition) => {
      await ask('commit', (request) => ({ type: 'commit', request, definition }));
    },
    erase: async (definition) => {
      await ask('erase', (request) => ({ type: 'erase', request, definition }));
    },
    correct: async (definition, to) => {
      await ask('correct', (request) => ({ type: 'correct', request, definition, to }));
    },
    saidNo: (error) => error instanceof PushError && error.reason === 'refused',
  };
}
