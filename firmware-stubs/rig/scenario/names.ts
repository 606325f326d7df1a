/** Names that parts of a scenario refer to: looked up, and a finding where there is no such thing. */
import type { ConfigPath, Finding } from '../../../imager/model/fault.ts';
import type { ScenarioFile } from './schema.ts';

export class Names {
  readonly #findings: Finding[];
  readonly #nodes: ReadonlyMap<string, readonly string[]>;
  readonly #images: readonly string[];

  /** Names in `file`; faults of its nodes and pointers are found at once. */
  constructor(file: ScenarioFile, findings: Finding[]) {
    this.#findings = findings;
    this.#images = Object.keys(file.images);
    this.#nodes = new Map(file.nodes.map(({ name, pointer }) => [name, pointer?.disks ?? []]));
    for (const [i, { name, pointer }] of file.nodes.entries()) {
      if (file.nodes.findIndex((other) => other.name === name) !== i)
        this.fault(['nodes', i, 'name'], 'another name: there is one of it already');
      if (pointer === undefined) continue;
      this.image(pointer.image, ['nodes', i, 'pointer', 'image']);
      if (pointer.fallback !== '') this.image(pointer.fallback, ['nodes', i, 'pointer', 'fallback']);
    }
  }

  fault(path: ConfigPath, expected: string): void {
    this.#findings.push({ path, expected });
  }

  /** A node that may be left out where there is only one. Gives '' beside a finding. */
  node(name: string | undefined, path: ConfigPath): string {
    const known = [...this.#nodes.keys()];
    if (name === undefined && known.length === 1) return known[0]!;
    if (name !== undefined && this.#nodes.has(name)) return name;
    this.fault([...path, 'node'], `a node of this scenario: ${known.join(', ')}`);
    return '';
  }

  image(name: string, path: ConfigPath): void {
    if (!this.#images.includes(name))
      this.fault(path, `an image of this scenario: ${this.#images.join(', ') || 'there is none'}`);
  }

  /** Disks that a flash names, or those of the node's first pointer. */
  disks(named: readonly string[] | undefined, node: string, path: ConfigPath): readonly string[] {
    const disks = named ?? this.#nodes.get(node) ?? [];
    if (disks.length === 0 && node !== '')
      this.fault([...path, 'disks'], 'a list of disks, the root disk first');
    return disks;
  }
}
