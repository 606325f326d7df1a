/** Who has which address, as DHCP told: one address an owner, and a bounded number of them. */

export interface Owner {
  node?: string;
  mac?: string;
}

/** Past this many, the ones learnt longest ago are forgotten. */
const MAX_OWNERS = 4096;

export class AddressOwners {
  readonly #byAddress = new Map<string, Owner>();
  readonly #addressOf = new Map<string, string>();

  of(address: string): Owner | undefined {
    return this.#byAddress.get(address);
  }

  set(address: string, owner: Owner): void {
    this.#forget(address);
    const key = keyOf(owner);
    const old = this.#addressOf.get(key);
    if (old !== undefined) this.#forget(old);
    this.#byAddress.set(address, owner);
    this.#addressOf.set(key, address);
    const [oldest] = this.#byAddress.keys();
    if (this.#byAddress.size > MAX_OWNERS && oldest !== undefined) this.#forget(oldest);
  }

  #forget(address: string): void {
    const owner = this.#byAddress.get(address);
    if (owner === undefined) return;
    this.#byAddress.delete(address);
    this.#addressOf.delete(keyOf(owner));
  }
}

function keyOf({ node, mac }: Owner): string {
  return node === undefined ? `mac ${mac}` : `node ${node}`;
}
