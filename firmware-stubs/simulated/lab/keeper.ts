/**
 * Keeps a node's disk attached, as the agent's keeper process does over NBD (agent/linux/keeper.ts), whose times it has. A
 * stand-in: that one gives sockets to a kernel, and there is neither here.
 */
import type { MountedDisk, SimulatedDisk } from './disk.ts';
import type { Life } from './life.ts';

const RETRY_MS = 100;
/** What its process takes to begin, on the rig. */
const BEGIN_MS = 80;

/** The imager's side of it, over the network. */
export interface DiskSource {
  /** Asks an imager for a disk; resolves with it, or with why not. `lost` is called when the connection dies. */
  attach(imager: string, name: string, lost: () => void): Promise<SimulatedDisk | string>;
  /** Resolves when the node's requests to disks come through. */
  clear(): Promise<void>;
}

export class DiskKeeper {
  /** Once it was attached. */
  disk: { raw: SimulatedDisk; mounted: MountedDisk } | undefined;
  readonly #name: string;
  readonly #life: Life;
  readonly #print: (line: string) => void;
  #attached = false;
  #waiting: (() => void)[] = [];

  constructor(name: string, life: Life, print: (line: string) => void) {
    this.#name = name;
    this.#life = life;
    this.#print = print;
  }

  get attached(): boolean {
    return this.#attached;
  }

  /** Resolves when the disk is there. */
  async untilAttached(): Promise<void> {
    while (!this.#attached) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Goes on for as long as the machine is on. */
  async keep(source: DiskSource, imagers: readonly string[]): Promise<never> {
    await this.#life.sleep(BEGIN_MS);
    let candidates = imagers;
    let said = '';
    const say = (text: string) => {
      if (text !== said) this.#print(`bootwright: disk ${this.#name}: ${text}`);
      said = text;
    };
    for (;;) {
      for (const imager of candidates) {
        let died = () => {};
        const dead = new Promise<void>((resolve) => {
          died = resolve;
        });
        const found = await this.#life.lived(source.attach(imager, this.#name, died));
        if (typeof found === 'string') {
          say(`imager ${imager}: ${found}`);
          continue;
        }
        candidates = [imager];
        this.disk ??= { raw: found, mounted: found.mounted(this.#life) };
        if (said !== '') say('attached');
        this.#attached = true;
        for (const resume of this.#waiting.splice(0)) resume();
        await this.#life.lived(dead);
        this.#attached = false;
        say('connection lost');
        break;
      }
      await this.#life.sleep(RETRY_MS);
    }
  }
}
