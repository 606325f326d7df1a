/** Who has which address, as DHCP told: of an owner one for each of its adapters, and a bounded number of them all. */

export interface Owner {
  node?: string;
  mac?: string;
}

/** From when to when an address is lent: milliseconds since the epoch. */
export interface Term {
  at: number;
  /** Left out where nobody told. */
  ends?: number;
}

interface Holding {
  owner: Owner;
  ends: number;
}

/** Past this many, the ones learnt longest ago are forgotten. */
const MAX_OWNERS = 4096;

export class AddressOwners {
  readonly #byAddress = new Map<string, Holding>();
  /** By node, else MAC. */
  readonly #addressesOf = new Map<string, Set<string>>();

  of(address: string): Owner | undefined {
    return this.#byAddress.get(address)?.owner;
  }

  /**
   * The address is `owner`'s from now on. What the same adapter had is free with that, and what the owner's others had where their
   * term is over. An address outlasts its term by itself: boot firmware and kernels keep theirs without renewing it.
   */
  set(address: string, owner: Owner, { at, ends = Number.POSITIVE_INFINITY }: Term): void {
    this.delete(address);
    for (const other of [...(this.#addressesOf.get(keyOf(owner)) ?? [])]) {
      const held = this.#byAddress.get(other)!;
      if (held.owner.mac === owner.mac || held.ends <= at) this.delete(other);
    }
    this.#byAddress.set(address, { owner, ends });
    this.#addressesOf.set(
      keyOf(owner),
      (this.#addressesOf.get(keyOf(owner)) ?? new Set<string>()).add(address),
    );
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MAX_OWNERS && oldest !== undefined) this.delete(oldest);
  }

  /** Nobody has it any more. */
  delete(address: string): void {
    const held = this.#byAddress.get(address);
    if (held === undefined) return;
    this.#byAddress.delete(address);
    const key = keyOf(held.owner);
    const left = this.#addressesOf.get(key)!;
    left.delete(address);
    if (left.size === 0) this.#addressesOf.delete(key);
  }
}

function keyOf({ node, mac }: Owner): string {
  return node === undefined ? `mac ${mac}` : `node ${node}`;
}
