/**
 * The embedded registry: commits go to an append-only log, and from there to LMDB when it is quiet (README.md). Reads see
 * both.
 */
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Base, overlay, runBuffered, type Stored, toEntries, type Write } from './buffered.ts';
import { syncDirectory } from './directory.ts';
import { RegistryError, writeEntryKey, writeKey } from './key.ts';
import { LmdbTree } from './lmdb-tree.ts';
import { LogFile, LogLost, type WriteBytes } from './log-file.ts';
import { encodeGroup, type Group, LOG_MAGIC } from './log-record.ts';
import { Recent } from './recent.ts';
import type { Change, Entry, Key, Registry, Transaction } from './registry.ts';
import { copyValue } from './value.ts';
import { Watchers } from './watchers.ts';

export interface LogLimits {
  /** Without a commit for so long, what is in the log goes to LMDB. */
  quietMs: number;
  /** It goes there in any case when the log is so long. */
  bytes: number;
}

const LIMITS: LogLimits = { quietMs: 100, bytes: 8 * 1024 * 1024 };

/**
 * A group of so many writes is one of many to come: the next one then waits for more, since a commit costs much the same.
 * At 7000 leases a second a tenth of the server's time went into commits a millisecond apart.
 */
const BUSY = 8;
const GATHER_MS = 4;

/** Between attempts to write to LMDB that failed: mostly it is room that has to be made. */
const PAUSE_MS = 2000;

interface Call {
  work: (tx: Transaction) => unknown;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

type Outcome = { ok: true; result: unknown; writes: Write[] } | { ok: false; error: unknown };

export class LmdbRegistry implements Registry {
  readonly #tree: LmdbTree;
  readonly #log: LogFile;
  readonly #recent: Recent;
  readonly #limits: LogLimits;
  readonly #watchers = new Watchers();
  #revision: number;
  #calls: Call[] = [];
  /** The turn that works off the calls; undefined while there are none. */
  #turn: Promise<void> | undefined;
  #applying: Promise<void> | undefined;
  /** Byte of the log before which all is in LMDB, where the log is to begin anew. */
  #inTree: number | undefined;
  /** When the log is so long, it goes to LMDB in any case. */
  #longest: number;
  #quiet: NodeJS.Timeout | undefined;
  /** Until it is tried again to write to LMDB. */
  #pause: NodeJS.Timeout | undefined;
  /** Why the last commit failed; undefined where it did not. */
  #failure: Error | undefined;
  /** Why no commit can be made any more. */
  #fault: Error | undefined;
  #closed = false;

  private constructor(tree: LmdbTree, { log, groups }: { log: LogFile; groups: Group[] }, limits: LogLimits) {
    this.#tree = tree;
    this.#log = log;
    this.#limits = limits;
    this.#longest = limits.bytes;
    this.#recent = new Recent(tree);
    this.#revision = tree.revision();
    for (const { first, transactions } of groups)
      for (const [index, writes] of transactions.entries())
        if (first + index > this.#revision) {
          this.#recent.add(writes);
          this.#revision = first + index;
        }
  }

  /**
   * Opens the registry kept in directory `dir`, which is made where it is missing. Rejects with RegistryError where a
   * file there is none of a registry's, was cut short or damaged, or where log and tree are not of one registry.
   * `write`: how the log gets to the disk.
   */
  static async open(dir: string, limits = LIMITS, write?: WriteBytes): Promise<LmdbRegistry> {
    await mkdir(dir, { recursive: true });
    // It holds keys of nodes.
    await chmod(dir, 0o700);
    const opened = await LogFile.open(dir, write);
    const tree = await LmdbTree.open(dir).catch(async (error) => {
      await opened.log.close();
      throw error;
    });
    const [first] = opened.groups;
    const revision = tree.revision();
    if (first !== undefined && first.first > revision + 1) {
      await opened.log.close();
      await tree.close();
      throw new RegistryError(
        `${dir}: registry.log begins at revision ${first.first}, registry.mdb ends at ${revision}: they do not ` +
          'belong together. Put a copy of both in their place; or move registry.log away, and what was last written is lost',
      );
    }
    const registry = new LmdbRegistry(tree, opened, limits);
    if (registry.#recent.size > 0) registry.#waitForQuiet();
    // The next record has to follow on the last one: one that was cut off may have been in the tree.
    else if (opened.log.end > LOG_MAGIC.length) await opened.log.restart(opened.log.end);
    // A new file's name is durable only with its directory, and that one's with its parent.
    await syncDirectory(dir);
    await syncDirectory(dirname(resolve(dir)));
    return registry;
  }

  get<T>(key: Key): T | undefined {
    this.#open();
    const stored = this.#recent.get(writeEntryKey(key));
    return stored === undefined ? undefined : (copyValue(stored.value) as T);
  }

  range<T>(prefix: Key): Entry<T>[] {
    this.#open();
    return toEntries<T>(this.#recent.range(writeKey(prefix)));
  }

  async transact<T>(work: (tx: Transaction) => T): Promise<T> {
    this.#open();
    return new Promise<T>((resolve, reject) => {
      this.#calls.push({ work, resolve: resolve as (result: unknown) => void, reject });
      this.#wake();
    });
  }

  watch(prefix: Key, listener: (change: Change) => void): () => void {
    this.#open();
    return this.#watchers.add(prefix, listener);
  }

  revision(): number {
    this.#open();
    return this.#revision;
  }

  /** What keeps commits from the disk, in a sentence; none where the last one got there. */
  problems(): string[] {
    const failure = this.#fault ?? this.#failure;
    return failure === undefined
      ? []
      : [`registry not written, and nodes without a lease get no address: ${failure.message}`];
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#turn;
    clearTimeout(this.#quiet);
    clearTimeout(this.#pause);
    this.#pause = undefined;
    // Where this fails nothing is lost: the log is read again at the next opening.
    while (this.#applying !== undefined) await this.#applying;
    // The log begins anew behind that, before what came meanwhile can follow.
    await this.#turn;
    await this.#toTree();
    await this.#turn;
    this.#watchers.clear();
    await this.#tree.close();
    await this.#log.close();
  }

  #wake(): void {
    // Not at once: what else this turn of the event loop asks for goes along.
    this.#turn ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#workOff());
  }

  async #workOff(): Promise<void> {
    for (;;) {
      if (this.#inTree !== undefined) await this.#beginLog(this.#inTree);
      else if (this.#calls.length > 0) {
        const written = await this.#commit(this.#calls.splice(0));
        // What this turn of the event loop brings goes along with the next.
        if (written < BUSY) await new Promise<void>((resolve) => setImmediate(resolve));
        else await new Promise<void>((resolve) => setTimeout(resolve, GATHER_MS));
      } else break;
    }
    this.#turn = undefined;
  }

  /** Runs what came while the last group was on its way to the disk; it shares a record. Gives how many writes there were. */
  async #commit(calls: readonly Call[]): Promise<number> {
    const outcomes = this.#run(calls);
    const transactions = outcomes.flatMap((outcome) =>
      outcome.ok && outcome.writes.length > 0 ? [outcome.writes] : [],
    );
    let failure: { error: unknown } | undefined;
    if (transactions.length > 0)
      try {
        if (this.#fault !== undefined) throw this.#fault;
        await this.#log.append(encodeGroup(this.#revision + 1, transactions));
        this.#failure = undefined;
      } catch (error) {
        this.#failure = error as Error;
        if (error instanceof LogLost) this.#fault = error;
        failure = { error };
      }
    for (const [index, outcome] of outcomes.entries()) {
      const { resolve, reject } = calls[index]!;
      if (!outcome.ok) reject(outcome.error);
      else if (failure !== undefined) reject(failure.error);
      else {
        if (outcome.writes.length > 0) {
          this.#revision++;
          this.#recent.add(outcome.writes);
          this.#watchers.tell(outcome.writes, this.#revision);
        }
        resolve(outcome.result);
      }
    }
    if (transactions.length > 0) this.#waitForQuiet();
    return transactions.reduce((sum, writes) => sum + writes.length, 0);
  }

  /** What each call does, on what those before it did. */
  #run(calls: readonly Call[]): Outcome[] {
    const group = new Map<string, Stored | undefined>();
    const base: Base = {
      get: (written) => (group.has(written) ? group.get(written) : this.#recent.get(written)),
      range: (prefix) => {
        const seen = this.#recent.range(prefix);
        overlay(seen, group, prefix);
        return seen;
      },
    };
    let revision = this.#revision;
    return calls.map(({ work }, index) => {
      try {
        const { result, writes } = runBuffered(base, revision + 1, work);
        if (writes.length > 0) revision++;
        // Nobody comes after the last, which is mostly the only one.
        if (index < calls.length - 1) for (const { written, stored } of writes) group.set(written, stored);
        return { ok: true, result, writes };
      } catch (error) {
        return { ok: false, error };
      }
    });
  }

  #waitForQuiet(): void {
    if (this.#closed || this.#fault !== undefined || this.#pause !== undefined) return;
    if (this.#log.end >= this.#longest) void this.#toTree();
    else if (this.#quiet !== undefined) this.#quiet.refresh();
    // Nothing is lost where the process ends before.
    else this.#quiet = setTimeout(() => void this.#toTree(), this.#limits.quietMs).unref();
  }

  /** Brings LMDB up to date; never rejects. Where that fails it is tried again: the log still has all of it. */
  async #toTree(): Promise<void> {
    // Until the log begins anew its places are about to change.
    if (this.#applying !== undefined || this.#inTree !== undefined || this.#pause !== undefined) return;
    if (this.#fault !== undefined || this.#recent.size === 0) return;
    this.#applying = this.#apply();
    await this.#applying;
    this.#applying = undefined;
    if (this.#recent.size > 0) this.#waitForQuiet();
  }

  async #apply(): Promise<void> {
    const end = this.#log.end;
    try {
      await this.#tree.apply(this.#recent.leave(), this.#revision);
      this.#recent.gone();
      this.#inTree = end;
      this.#wake();
    } catch {
      // LMDB says the same of a full disk as of a bad one. A bad one will show in the log as well.
      this.#recent.stay();
      if (this.#closed) return;
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        void this.#toTree();
      }, PAUSE_MS).unref();
    }
  }

  async #beginLog(from: number): Promise<void> {
    // Without room or descriptors the log goes on as it is: what is in LMDB is passed over at the next opening.
    await this.#log.restart(from).catch((error) => {
      if (error instanceof LogLost) this.#fault = error;
    });
    this.#longest = this.#log.end + this.#limits.bytes;
    this.#inTree = undefined;
  }

  #open(): void {
    if (this.#closed) throw new RegistryError('registry is closed');
  }
}
