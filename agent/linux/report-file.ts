/**
 * A node's report on its own disk: frames (agent/protocol/frame.ts), the first a StoredReport, then steps, oldest first. The
 * file is replaced whole, so a power cut leaves the former one or the new one.
 *
 * It is written beside everything else (Host.replaceFileAside): the disk may hang on the imager that is away, and then
 * whoever writes to it waits for as long.
 */
import type { KeptReport, Report } from '../core/report.ts';
import { encodeFrame, FrameReader } from '../protocol/frame.ts';
import { joined } from '../protocol/joined.ts';
import { parseStep, parseStoredReport } from '../protocol/messages.ts';
import { wordsOf } from '../protocol/words-of.ts';
import type { Host } from './host.ts';

const NAME = 'report.cbor';
/** Numbers put aside with each write: a process that is killed and started again in the same boot uses none twice. */
const RESERVED = 1000;

export class ReportFile {
  readonly #host: Host;
  readonly #path: string;
  readonly #uid: string;
  readonly #report: Report;
  #wanted = false;
  #holdsSteps = false;
  #writing: Promise<void> | undefined;
  #complaint = '';

  /** Recalls what the file in `directory` has of the node `uid`, and takes its place. */
  constructor(host: Host, directory: string, uid: string, report: Report) {
    this.#host = host;
    this.#path = `${directory}/${NAME}`;
    this.#uid = uid;
    this.#report = report;
    host.makeDirectory(directory);
    try {
      if (!host.exists(this.#path)) return;
      const { uid: owner, ...kept } = decodeReport(host.readFile(this.#path));
      if (owner !== uid) throw new Error(`has steps of another node (${owner}), which are not told`);
      report.recall(kept);
      this.#holdsSteps = true;
    } catch (error) {
      // Nothing a node does depends on it: said, and begun anew.
      this.#complain(error);
    }
  }

  /** Whether the file has steps, or may have. */
  get holdsSteps(): boolean {
    return this.#holdsSteps;
  }

  /** Writes what there is, after the write under way. Resolves once that is durable or has failed. */
  write(): Promise<void> {
    this.#wanted = true;
    this.#writing ??= this.#work();
    return this.#writing;
  }

  async #work(): Promise<void> {
    try {
      while (this.#wanted) await this.#writeOnce();
    } finally {
      // Together with the last look at what is wanted: who asks later begins anew.
      this.#writing = undefined;
    }
  }

  async #writeOnce(): Promise<void> {
    this.#wanted = false;
    try {
      const { empty } = this.#report;
      this.#holdsSteps ||= !empty;
      await this.#host.replaceFileAside(this.#path, encodeReport(this.#uid, this.#report.kept(RESERVED)));
      this.#holdsSteps = !empty;
      this.#complaint = '';
    } catch (error) {
      this.#complain(error);
    }
  }

  /** Says each reason once. */
  #complain(error: unknown): void {
    const text = `${this.#path}: ${wordsOf(error)}`;
    if (text !== this.#complaint) this.#host.print(`bootwright: ${text}`);
    this.#complaint = text;
  }
}

/** `uid`: of the node whose report it is. */
export function encodeReport(uid: string, { steps, ...report }: KeptReport): Uint8Array {
  return joined([{ version: 1, uid, ...report }, ...steps].map((each) => encodeFrame(each)));
}

/** With the UID of its node. Throws where the bytes are no report. */
export function decodeReport(bytes: Uint8Array): KeptReport & { uid: string } {
  const [head, ...steps] = new FrameReader().push(bytes);
  const { uid, bootId, lastSeq, dropped } = parseStoredReport(head);
  return { uid, bootId, lastSeq, dropped, steps: steps.map(parseStep) };
}
