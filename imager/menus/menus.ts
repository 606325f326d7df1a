/**
 * Menus and files of each node under the names its firmware asks for. A request becomes a key of a table (path.ts,
 * library.ts) and the answer a text, a file of the operator's folder, or a file of the node's image.
 */
import type { Logger } from 'pino';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { type BootFileClient, NotServed } from '../images/boot-files.ts';
import { type BootImage, ImageError } from '../images/image.ts';
import { endsOf, type NodeMenuFiles, type Served } from '../images/tree.ts';
import { Tally } from '../journal/tally.ts';
import type { NodeConfig } from '../model/config.ts';
import { IPXE_ASK_BY_MAC } from './builtin.ts';
import { type BootChoice, bootChoice } from './choice.ts';
import { formatOf } from './format.ts';
import type { Library, Shelf } from './library.ts';
import {
  type LinuxFile,
  type Menu,
  type MenuPath,
  macOf,
  menuPath,
  turnedUuid,
  uuidOf,
  type Whose,
} from './path.ts';
import { type Scope, type ScopeFacts, scopeOf } from './scope.ts';
import { TemplateError } from './template.ts';
import { ubootScript } from './uboot-script.ts';

/** What menus need of the rest of the imager. */
export interface MenuWorld {
  cluster: string;
  /** Image of nodes that have none of their own. */
  image?: string;
  /** Known once the servers run. */
  imager(): Scope['imager'];
  nodes: {
    readonly all: readonly NodeConfig[];
    byMac(mac: string): NodeConfig | undefined;
    byUid(uid: string): NodeConfig | undefined;
    bySerial(serial: string): NodeConfig | undefined;
  };
  /** The node that has the address, reserved or by lease. */
  nodeAt(address: string): NodeConfig | undefined;
  addressOf(node: NodeConfig): string | undefined;
  /** The network an address is in. */
  networkOf(address: string): { prefix: number; router?: string } | undefined;
  pointerOf(node: NodeConfig): BootPointer | null;
  /** Throws ImageError where it is damaged. */
  imageNamed(name: string): BootImage | undefined;
}

/** A template of that name is used for each menu; the first that the operator has, else the built-in one. */
const TEMPLATES: Partial<Record<Menu, readonly string[]>> = {
  'autoexec.ipxe': ['autoexec.ipxe', 'boot.ipxe'],
};

/** Who a file is made for: a node, or somebody the imager does not know. */
type Reader = { node: NodeConfig } | Stranger;
interface Stranger {
  node: undefined;
  /** Why it is one, in words. */
  stranger: string;
  /** True where only its address is unknown: it may have another name the imager knows. */
  mayAskByMac: boolean;
}

export class Menus implements NodeMenuFiles {
  readonly library: Library;
  readonly #world: MenuWorld;
  readonly #tally: Tally;
  /** By template and node: why it last failed. Gone once it works again, or the folder has changed. */
  readonly #failures = new Map<string, string>();
  #failuresOf: Shelf | undefined;

  constructor(library: Library, world: MenuWorld, log: Logger) {
    this.library = library;
    this.#world = world;
    this.#tally = new Tally(log);
  }

  /**
   * What `client` is given for `path`, in its normal form (images/tree.ts); undefined where there is no such name.
   * Throws NotServed where there is, but not for this client, and ImageError where the image is damaged.
   */
  find(path: string, client: BootFileClient): Served | undefined {
    const wanted = menuPath(path);
    const own = this.#ownFile(path, wanted, client.address);
    if (own !== undefined) return own;
    if (wanted === undefined) return undefined;
    const reader = this.#reader(wanted.whose, client.address);
    if (wanted.kind === 'boot-file') return this.#bootFile(wanted.file, reader);
    const name = this.templateOf(wanted.menu);
    const { files, written } = this.library.shelf;
    const file = files.get(name);
    if (file !== undefined) return { path: file };
    if (reader.node === undefined && reader.mayAskByMac && name === 'boot.ipxe' && !written.has(name))
      return { bytes: Buffer.from(IPXE_ASK_BY_MAC) };
    return this.#rendered(name, reader, client.address);
  }

  /** What is wrong with the folder, and with templates for nodes that asked. */
  problems(): string[] {
    return [...this.library.problems(), ...this.#failures.values()];
  }

  /** How often each template failed for a node. */
  stats(): Record<string, number> {
    return this.#tally.stats();
  }

  /** The name of the template or file that `menu` is made from. */
  templateOf(menu: Menu): string {
    const { written, files } = this.library.shelf;
    const names = TEMPLATES[menu] ?? [menu];
    return names.find((name) => written.has(name) || files.has(name)) ?? names.at(-1)!;
  }

  /** The address a node has, where that is known. */
  addressOf(node: NodeConfig): string | undefined {
    return this.#world.addressOf(node);
  }

  /** Which image a node is given, and why. */
  choiceFor(node: NodeConfig): BootChoice {
    return bootChoice(node, this.#world.pointerOf(node), this.#world.image);
  }

  /** Why the image a node is to be given cannot be, in words; undefined where it can, and where it is to have none. */
  imageFault(node: NodeConfig): string | undefined {
    const choice = this.choiceFor(node);
    try {
      const isThere = choice.image === null || this.#world.imageNamed(choice.image) !== undefined;
      return isThere ? undefined : withoutImage(choice);
    } catch (error) {
      if (error instanceof ImageError) return error.message;
      throw error;
    }
  }

  /** The text a node is given, or a stranger. Throws NotServed, TemplateError and ImageError. */
  text(name: string, node: NodeConfig | undefined, client: string): string {
    const { templates, written } = this.library.shelf;
    const choice = this.#choice(node);
    const image = choice.image === null ? undefined : this.#world.imageNamed(choice.image);
    // The operator's templates decide themselves what to do without an image; the built-in ones are about nothing else.
    if (!written.has(name)) {
      if (image === undefined) throw new NotServed(withoutImage(choice));
      if (image.kind !== 'linux' && name !== 'boot.ipxe')
        throw new NotServed(
          `image ${image.name} is no kernel (${image.kind}): only iPXE can start it by menu`,
        );
    }
    return templates.render(name, formatOf(name), this.#scope(node, choice, image, client));
  }

  #choice(node: NodeConfig | undefined): BootChoice {
    if (node !== undefined) return this.choiceFor(node);
    return { image: null, from: 'none', why: 'no node of the configuration asks' };
  }

  #scope(
    node: NodeConfig | undefined,
    choice: BootChoice,
    image: BootImage | undefined,
    client: string,
  ): Scope {
    const world = this.#world;
    const address = node === undefined ? undefined : world.addressOf(node);
    const facts: ScopeFacts = {
      node,
      address,
      network: address === undefined ? undefined : world.networkOf(address),
      pointer: node === undefined ? null : world.pointerOf(node),
      choice,
      image,
      imager: world.imager(),
      client,
      cluster: world.cluster,
    };
    return scopeOf(facts);
  }

  /** A file the operator has under that very name, or under its end: loaders put folders of their own in front. */
  #ownFile(path: string, wanted: MenuPath | undefined, address: string): Served | undefined {
    const { files, written } = this.library.shelf;
    for (const name of endsOf(path)) {
      const file = files.get(name);
      if (file !== undefined) return { path: file };
      if (written.has(name)) {
        const folders = path.split('/').slice(0, -1);
        return this.#rendered(
          name,
          this.#reader(wanted?.whose ?? { by: 'asker', folders }, address),
          address,
        );
      }
    }
    return undefined;
  }

  #rendered(name: string, reader: Reader, address: string): Served {
    if (reader.node === undefined && !this.library.shelf.written.has(name))
      throw new NotServed(reader.stranger);
    const text =
      reader.node === undefined
        ? this.#forStranger(name, reader, address)
        : this.#forNode(name, reader.node, address);
    const title = reader.node?.name ?? name;
    return { bytes: formatOf(name) === 'uboot' ? ubootScript(text, title) : Buffer.from(text) };
  }

  #forNode(name: string, node: NodeConfig, address: string): string {
    if (this.#failuresOf !== this.library.shelf) this.#failures.clear();
    this.#failuresOf = this.library.shelf;
    const key = `${name} ${node.name}`;
    try {
      const text = this.text(name, node, address);
      this.#failures.delete(key);
      return text;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      const problem = `for ${node.name}: ${error.message}`;
      this.#failures.set(key, problem);
      this.#tally.notice(`failed.${name}`, { node: node.name, problem }, 'a template failed');
      throw new NotServed(`${name} could not be made: the imager's log says why`);
    }
  }

  /** A template that has no answer for strangers is not at fault: it need not have one. */
  #forStranger(name: string, { stranger }: Stranger, address: string): string {
    try {
      return this.text(name, undefined, address);
    } catch (error) {
      if (error instanceof TemplateError)
        throw new NotServed(`${stranger}, and ${name} has nothing for others`);
      throw error;
    }
  }

  #bootFile(file: LinuxFile, reader: Reader): Served {
    if (reader.node === undefined) throw new NotServed(reader.stranger);
    const choice = this.choiceFor(reader.node);
    const image = choice.image === null ? undefined : this.#world.imageNamed(choice.image);
    if (image === undefined) throw new NotServed(withoutImage(choice));
    if (!Object.hasOwn(image.files, file)) throw new NotServed(`image ${image.name} has no ${file}`);
    return { image: image.name, file };
  }

  #reader(whose: Whose, address: string): Reader {
    const { nodes } = this.#world;
    const known = (node: NodeConfig | undefined, what: string, mayAskByMac = false): Reader =>
      node === undefined
        ? { node: undefined, stranger: `no node of the configuration has ${what}`, mayAskByMac }
        : { node };
    switch (whose.by) {
      case 'mac':
        return known(nodes.byMac(whose.mac), `MAC ${whose.mac}`);
      case 'uid':
        return known(nodes.byUid(whose.uid) ?? nodes.byUid(turnedUuid(whose.uid)), `UUID ${whose.uid}`);
      case 'address':
        return known(this.#world.nodeAt(whose.address), `address ${whose.address}`);
      case 'asker':
        return (
          this.#inFolder(whose.folders) ?? known(this.#world.nodeAt(address), `address ${address}`, true)
        );
    }
  }

  /** Whose folder it is; undefined where no folder says. */
  #inFolder(folders: readonly string[]): Reader | undefined {
    for (const folder of folders) {
      const node = this.#world.nodes.bySerial(folder.toLowerCase());
      if (node !== undefined) return { node };
      const mac = macOf(folder);
      if (mac !== undefined) return this.#reader({ by: 'mac', mac }, '');
      const uid = uuidOf(folder);
      if (uid !== undefined) return this.#reader({ by: 'uid', uid }, '');
    }
    return undefined;
  }
}

function withoutImage({ image, why }: BootChoice): string {
  return image === null ? `no image to boot: ${why}` : `image ${image} is not in the boot table (${why})`;
}
