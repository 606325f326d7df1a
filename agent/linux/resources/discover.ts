/** What a node consists of, by all resource controllers, within the bounds of a message. Never throws. */
import { plain } from '../../protocol/plain.ts';
import {
  RESOURCE_LIMITS,
  type Resource,
  type ResourceFault,
  type ResourcesMessage,
} from '../../protocol/resources.ts';
import { wordsOf } from '../../protocol/words-of.ts';
import type { Host } from '../host.ts';
import { adapters } from './adapters.ts';
import { pciDevices, usbDevices } from './buses.ts';
import type { Each, Found, ResourceController } from './controller.ts';
import { disks } from './disks.ts';
import { firmware } from './firmware.ts';
import { memory } from './memory.ts';
import { pointerStores } from './pointer-stores.ts';
import { processors } from './processors.ts';

export const CONTROLLERS: readonly ResourceController[] = [
  adapters,
  disks,
  memory,
  processors,
  firmware,
  pointerStores,
  pciDevices,
  usbDevices,
];

/** Names of one folder that are looked at. */
const MAX_NAMES = 1024;
/** Of all resources together in CBOR: a frame of an agent has 96 KiB (protocol/frame.ts), and faults take some of it. */
const MAX_BYTES = 54_000;
/** What CBOR adds at most to a resource (names of its members, lengths), and to a field; and a number in it. */
const RESOURCE_OVERHEAD = 24;
const FIELD_OVERHEAD = 4;
const NUMBER = 9;
const PRINTABLE = /^[ -~]*$/;

/** What there is, by kind and key. What could not be read is skipped and said in `faults`. */
export function discoverResources(
  host: Host,
  controllers: readonly ResourceController[] = CONTROLLERS,
): Omit<ResourcesMessage, 'type'> {
  const inventory = new Bounded();
  for (const controller of controllers)
    inventory.guarded(controller.kind, () =>
      controller.discover(
        host,
        (thing) => inventory.add(controller.kind, thing),
        (folder, look) => eachOf(host, inventory, folder, look),
      ),
    );
  return inventory.message();
}

const eachOf = (host: Host, inventory: Bounded, folder: string, look: Parameters<Each>[1]): void => {
  if (!host.exists(folder)) return;
  const names = host.list(folder);
  for (const name of names.slice(0, MAX_NAMES))
    inventory.guarded(`${folder}/${name}`, () => look(`${folder}/${name}`, name));
  if (names.length > MAX_NAMES)
    inventory.fault(folder, `${names.length - MAX_NAMES} names are not looked at`);
};

class Bounded {
  readonly #resources: Resource[] = [];
  readonly #keys = new Set<string>();
  readonly #faults: ResourceFault[] = [];
  #bytes = 0;
  #leftOut = 0;

  add(kind: Resource['kind'], { key: named, fields: found }: Found): void {
    const key = short(named, RESOURCE_LIMITS.key - 8);
    const fields: Resource['fields'] = {};
    let bytes = RESOURCE_OVERHEAD + kind.length + bytesOf(key);
    for (const [name, value] of Object.entries(found)) {
      if (value === undefined) continue;
      if (typeof value === 'number' && !isHeld(value)) {
        this.fault(`${kind} ${key}`, `${name} is no number that a message holds: ${value}`);
        continue;
      }
      const kept = typeof value === 'string' ? short(value, RESOURCE_LIMITS.text) : value;
      fields[name] = kept;
      bytes += name.length + FIELD_OVERHEAD + (typeof kept === 'string' ? bytesOf(kept) : NUMBER);
    }
    if (this.#resources.length >= RESOURCE_LIMITS.resources || this.#bytes + bytes > MAX_BYTES) {
      this.#leftOut++;
      return;
    }
    this.#bytes += bytes;
    this.#resources.push({ kind, key: this.#unique(kind, key), fields });
  }

  fault(where: string, why: string): void {
    const [place, words] = [short(where, RESOURCE_LIMITS.key), short(why, RESOURCE_LIMITS.text)];
    // The last place is for what was left out.
    if (this.#faults.length < RESOURCE_LIMITS.faults - 1) this.#faults.push({ where: place, why: words });
  }

  guarded(where: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fault(where, wordsOf(error));
    }
  }

  message(): Omit<ResourcesMessage, 'type'> {
    const leftOut = `${this.#leftOut} resources more than a message holds are left out`;
    return {
      resources: this.#resources,
      faults: [...this.#faults, ...(this.#leftOut > 0 ? [{ where: 'resources', why: leftOut }] : [])],
    };
  }

  #unique(kind: string, key: string): string {
    let unique = key || '-';
    for (let n = 2; this.#keys.has(`${kind} ${unique}`); n++) unique = `${key} #${n}`;
    this.#keys.add(`${kind} ${unique}`);
    return unique;
  }
}

/** Without control characters, within so many UTF-16 units, no half of a character at the end. */
function short(text: string, most: number): string {
  // Nearly all are, and looking for what they have not takes a slow node longer than reading them.
  if (text.length <= most && PRINTABLE.test(text)) return text;
  return plain(text)
    .replaceAll('\n', '?')
    .slice(0, most)
    .replace(/[\ud800-\udbff]$/, '');
}

/** Whether the imager takes this number (protocol/resources.ts): with one that it does not it refuses the message, and the node. */
function isHeld(number: number): boolean {
  return number >= 0 && number <= Number.MAX_SAFE_INTEGER;
}

function bytesOf(text: string): number {
  return new TextEncoder().encode(text).length;
}
