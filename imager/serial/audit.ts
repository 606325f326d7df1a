/**
 * Who wrote what to which node's boot pointer: one line of JSON each, in `serial-audit.jsonl`, durable before the store is
 * touched and again when it is known what came of it. Lines are only ever added.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { makeFolder, syncPath } from '../storage/durable.ts';
import type { Identity } from './progress.ts';

export interface AuditEntry {
  /** UTC, ISO 8601. */
  at: string;
  /** `begun`: the store may have changed from here on. */
  event: 'begun' | 'verified' | 'failed';
  /** Login name and host of who ran the tool; behind sudo, who called it. */
  who: string;
  port: string;
  uid: string;
  via: Identity['via'];
  old: BootPointer | null;
  new: BootPointer;
  /** With `failed`: why. */
  why?: string;
}

const FILE = 'serial-audit.jsonl';
const LINE_FEED = 0x0a;

export class AuditTrail {
  readonly path: string;
  readonly #folder: string;

  /** `folder` is made when the first entry is written. */
  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, FILE);
  }

  /** Returns once the entry survives a power cut. Throws what the file system throws, and where it takes a part alone. */
  append(entry: Omit<AuditEntry, 'at' | 'who'>): void {
    makeFolder(this.#folder, 0o700);
    const fd = openSync(this.path, 'a+', 0o600);
    try {
      // A line that a power cut left without its end stays what it is.
      const begin = endsInLine(fd) ? '' : '\n';
      const whole: AuditEntry = { at: new Date().toISOString(), who: whoami(), ...entry };
      const line = Buffer.from(`${begin}${JSON.stringify(whole)}\n`);
      const written = writeSync(fd, line);
      if (written !== line.length) throw new Error(`${written} of ${line.length} bytes written`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    syncPath(this.#folder);
  }

  /** The pointer, of those that are `wanted`, that was last written to this node and verified. */
  lastVerified(uid: string, wanted: (pointer: BootPointer) => boolean = () => true): BootPointer | undefined {
    if (uid === '') return undefined;
    return this.entries().findLast(
      (entry) => entry.uid === uid && entry.event === 'verified' && wanted(entry.new),
    )?.new;
  }

  /** All entries, the oldest first; lines that are none (torn by a power cut) are left out. */
  entries(): AuditEntry[] {
    return textOf(this.path)
      .split('\n')
      .flatMap((line) => {
        try {
          return line === '' ? [] : [JSON.parse(line) as AuditEntry];
        } catch {
          return [];
        }
      });
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function endsInLine(fd: number): boolean {
  const { size } = fstatSync(fd);
  const last = new Uint8Array(1);
  return size === 0 || (readSync(fd, last, 0, 1, size - 1) === 1 && last[0] === LINE_FEED);
}

function whoami(): string {
  const { SUDO_USER } = process.env;
  return `${SUDO_USER || userInfo().username}@${hostname()}`;
}
