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

/** Throws where no source has a UID, and where one cannot be read that comes before the first that has, saying why. */
export function readUid(host: Host): Uid {
  const readings: UidReading[] = [];
  for (const source of sourcesOf(host)) {
    readings.push(ask(host, source));
    if (settles(readings.at(-1)!)) break;
  }
  return uidOf(readings);
}

/** What every source says, in the order they count in. */
export function readUids(host: Host): UidReading[] {
  return sourcesOf(host).map((source) => ask(host, source));
}

/** The UID that these come to. Throws as readUid() does. */
export function uidOf(readings: readonly UidReading[]): Uid {
  const first = readings.find(settles);
  if (first?.uid !== undefined) return first.uid;
  if (first !== undefined)
    throw new Error(
      `hardware UID: ${first.source} cannot be read (${first.why}); bootwright.uid= on the kernel's command line can leave it out`,
    );
  throw new Error(
    `this node has no hardware UID (${readings.map(({ source, why }) => `${source}: ${why}`).join('; ')}): ` +
      `write one to ${UID_FILE}, as a UUID or serial:TEXT`,
  );
}

function settles({ uid, unread }: UidReading): boolean {
  return uid !== undefined || unread === true;
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
