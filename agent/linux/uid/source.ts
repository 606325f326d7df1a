/** What a source of hardware UIDs is. Another one is a file beside this one and an entry in sources.ts. */
import { bogusSerial } from '../../protocol/bogus-uids.ts';
import { type Uid, uidFault } from '../../protocol/uid.ts';
import { type Host, HostError } from '../host.ts';

/** What a source gave: a UID, or why it has none; `value` is what it said that is no UID. */
export type Finding = { uid: Uid } | { why: string; value?: string };

export interface UidSource {
  /** As the kernel argument `bootwright.uid=` names it. */
  name: string;
  /** What it reads, in a few words. */
  about: string;
  /**
   * Gives the same on every boot of the same hardware, whatever is loaded and set up by then. Throws HostError where it is there
   * and cannot be read: what it would have said is not known then.
   */
  read(host: Host): Finding;
}

/** Longest text of firmware that is looked at. */
const MAX_TEXT = 256;

/** Text of a file that firmware or a kernel filled, without NULs and spaces around it; undefined where there is none. */
export function firmwareText(host: Host, path: string): string | undefined {
  let bytes: Uint8Array;
  try {
    bytes = host.readFile(path);
  } catch (error) {
    if (error instanceof HostError && (error.code === 'ENOENT' || error.code === 'ENODEV')) return undefined;
    throw error;
  }
  return new TextDecoder().decode(bytes.subarray(0, MAX_TEXT)).replaceAll('\0', '').trim();
}

/** What is found where a source says `text`, and its UID would be `uid`: the text itself, or a form of a serial number. */
export function judged(text: string | undefined, uid: string, where: string): Finding {
  if (text === undefined) return { why: `there is no ${where}` };
  if (text === '') return { why: `${where} is empty` };
  const canonical = uid.toLowerCase();
  const fault = uidFault(canonical) ?? (uid === text ? undefined : bogusSerial(text));
  return fault === undefined ? { uid: canonical } : { why: fault, value: text };
}
