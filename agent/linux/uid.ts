/** The node's hardware UID, from the first source that has a real one. */
import type { Uid } from '../protocol/uid.ts';
import { wordsOf } from '../protocol/words-of.ts';
import type { Host } from './host.ts';
import { readText } from './read-text.ts';
import type { Finding, UidSource } from './uid/source.ts';
import { uidOrder } from './uid/sources.ts';
import { UID_FILE } from './uid/texts.ts';

/** What one source said. */
export interface UidReading {
  source: string;
  about: string;
  /** Where it has one. */
  uid?: Uid;
  /** Why it has none. */
  why?: string;
  /** What it said that is no UID. */
  value?: string;
  /** It is there and could not be read: those behind it are not asked, a node that is known by it must not join as another. */
  unread?: true;
}

/**
 * Throws where no source has a UID, saying why, a source a line, and where one cannot be read that comes before the first that
 * has.
 */
export function readUid(host: Host): Uid {
  const readings: UidReading[] = [];
  for (const source of sourcesOf(host)) {
    readings.push(ask(host, source));
    if (settlingOf(readings) !== undefined) break;
  }
  const settling = settlingOf(readings);
  if (settling?.uid !== undefined) return settling.uid;
  const said = settling === undefined ? readings.map(({ source, why }) => `  ${source}: ${why}`) : [];
  throw new Error([uidFault(readings), ...said].join('\n'));
}

/** What every source says, in the order they count in. */
export function readUids(host: Host): UidReading[] {
  return sourcesOf(host).map((source) => ask(host, source));
}

/** The reading that counts: the first that has a UID, or cannot be read. */
export function settlingOf(readings: readonly UidReading[]): UidReading | undefined {
  return readings.find(({ uid, unread }) => uid !== undefined || unread === true);
}

/** Why readings come to no UID, in a line, and what to do; undefined where they come to one. */
export function uidFault(readings: readonly UidReading[]): string | undefined {
  const settling = settlingOf(readings);
  if (settling === undefined)
    return `this node has no hardware UID: write one to ${UID_FILE}, as a UUID or serial:TEXT`;
  if (settling.uid !== undefined) return undefined;
  return `hardware UID: ${settling.source} cannot be read (${settling.why}); bootwright.uid= on the kernel's command line can leave it out`;
}

function ask(host: Host, source: UidSource): UidReading {
  const { name, about } = source;
  let finding: Finding & { unread?: true };
  try {
    finding = source.read(host);
  } catch (error) {
    finding = { why: wordsOf(error), unread: true };
  }
  return { source: name, about, ...finding };
}

function sourcesOf(host: Host): UidSource[] {
  return uidOrder(readText(host, '/proc/cmdline'));
}
