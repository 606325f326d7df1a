/** Replies to READs: simple or structured, with data read from the disk, or left in files that it is sent from. */
import { type Disk, DONE } from '../disks/disk.ts';
import { CHUNK_SIZE, DATA_CHUNK_SIZE, encodeNone, encodePiece, type Piece, planRead } from './chunks.ts';
import { encodeSimpleReply, type Request, SIMPLE_REPLY_SIZE } from './codec.ts';
import { type Insert, type Layout, layOut, readAll } from './read-pieces.ts';
import type { Replies } from './replies.ts';

/** Bytes of a file that are better sent from there: two system calls more pay from here on. */
const WORTH_LEAVING = 64 * 1024;
/** Runs of a disk that one READ is cut into at most, and bytes of a hole that are worth a chunk of its own. */
const MAX_RUNS = 64;
const WORTH_A_HOLE = 4096;
const NO_INSERTS: readonly Insert[] = [];

/** Told what became of a READ, before the call returns where the disk answers at once. */
export interface ReadOutcome {
  /** A whole reply, into which parts of files are to be inserted. */
  made(reply: Buffer, inserts: readonly Insert[]): void;
  failed(error: unknown, offset?: number): void;
}

export class Reads {
  readonly #disk: Disk;
  readonly #replies: Replies;
  readonly #structured: boolean;

  constructor(disk: Disk, replies: Replies, structured: boolean) {
    this.#disk = disk;
    this.#replies = replies;
    this.#structured = structured;
  }

  /** Makes the reply to a request that was found valid. */
  answer(request: Request, outcome: ReadOutcome): void {
    const { offset, length } = request;
    const leaving = length >= WORTH_LEAVING && this.#replies.takesFiles;
    if (this.#structured) this.#answerStructured(request, leaving, outcome);
    else if (leaving) {
      const whole = { pieces: [{ hole: false, offset, length, at: 0 }], size: SIMPLE_REPLY_SIZE + length };
      this.#answerInPieces(whole, SIMPLE_REPLY_SIZE, true, outcome, (reply) =>
        encodeSimpleReply(reply, request, 0),
      );
    } else this.#answerSimply(request, outcome);
  }

  #answerSimply(request: Request, outcome: ReadOutcome): void {
    const reply = this.#replies.reserve(SIMPLE_REPLY_SIZE + request.length);
    const reading = this.#disk.read(reply.subarray(SIMPLE_REPLY_SIZE), request.offset);
    const made = (): void => {
      encodeSimpleReply(reply, request, 0);
      outcome.made(reply, NO_INSERTS);
    };
    if (reading === DONE) made();
    else
      reading.then(made, (error: unknown) => {
        this.#replies.drop(reply);
        outcome.failed(error);
      });
  }

  /** Data in chunks, holes by name. */
  #answerStructured(request: Request, leaving: boolean, outcome: ReadOutcome): void {
    const { offset, length } = request;
    if (length === 0) {
      const reply = this.#replies.reserve(CHUNK_SIZE);
      encodeNone(reply, request);
      outcome.made(reply, NO_INSERTS);
      return;
    }
    let plan: ReturnType<typeof planRead>;
    try {
      plan = planRead(request, this.#disk.extents(offset, length, MAX_RUNS), WORTH_A_HOLE);
    } catch (error) {
      outcome.failed(error);
      return;
    }
    this.#answerInPieces(plan, DATA_CHUNK_SIZE, leaving, outcome, (reply, pieces) => {
      for (const piece of pieces) encodePiece(reply, request, piece, piece === pieces.at(-1));
    });
  }

  /**
   * `head` bytes come before the data of each piece, which `encode` writes. What is in memory is read before anything
   * leaves, so that an error is known by then.
   */
  #answerInPieces(
    { pieces, size }: { pieces: readonly Piece[]; size: number },
    head: number,
    leaving: boolean,
    outcome: ReadOutcome,
    encode: (reply: Buffer, pieces: readonly Piece[]) => void,
  ): void {
    let layout: Layout;
    try {
      layout = layOut(this.#disk, pieces, head, leaving ? WORTH_LEAVING : Number.POSITIVE_INFINITY);
    } catch (error) {
      outcome.failed(error);
      return;
    }
    const reply = this.#replies.reserve(size - layout.left);
    readAll(this.#disk, reply, layout.readings, (failed) => {
      if (failed === undefined) {
        encode(reply, layout.pieces);
        outcome.made(reply, layout.inserts);
        return;
      }
      this.#replies.drop(reply);
      outcome.failed(failed.error, failed.offset);
    });
  }
}
