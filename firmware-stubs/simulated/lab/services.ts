/**
 * DHCP and TFTP between a simulated node and the imager, as exchanges in virtual time: whole messages, with the retries of
 * U-Boot, and files without their blocks. A stand-in: the imager's servers and U-Boot's clients are for real sockets.
 */
import type { EventSink } from '../../../imager/journal/event.ts';
import type { BootFile } from './firmware.ts';
import type { SimulatedImager } from './imager.ts';
import type { Life } from './life.ts';
import type { Fate, SimulatedNetwork } from './network.ts';
import type { VirtualTime } from './time.ts';

export interface ServiceParts {
  time: VirtualTime;
  network: SimulatedNetwork;
  imager: SimulatedImager;
  sink: EventSink;
  node: string;
  /** Undefined where the imager gives this node none. */
  address: string | undefined;
  /** What befalls blocks of its files now. */
  blocks(): Fate;
}

/** U-Boot 2023.01, net/bootp.c: first wait, longest wait, all of them (net.c: 3 s and 5 s for each of five tries). */
const DHCP_MS = { first: 250, longest: 2000, all: 28_000 };
/** As boot.env has it: 1 s, three times; then the imager counts as silent. */
const TFTP_WAIT_MS = 1000;
const TFTP_WAITS = 3;
/** How long a file takes on the rig, and how often its loader waits for the other side: windows of 8 blocks of 1468 bytes. */
const FILES: Record<BootFile, { name: string; milliseconds: number; windows: number }> = {
  manifest: { name: 'manifest.env', milliseconds: 10, windows: 1 },
  kernel: { name: 'kernel', milliseconds: 620, windows: 850 },
  initrd: { name: 'initrd', milliseconds: 280, windows: 380 },
};

/** Takes an address for the node; undefined where none came in U-Boot's time. */
export function takeAddress(parts: ServiceParts, life: Life): Promise<string | undefined> {
  const { time, network, imager, node, address } = parts;
  return new Promise((resolve) => {
    let over = false;
    const end = (result: string | undefined) => {
      over = true;
      resolve(result);
    };
    time.after(DHCP_MS.all, () => end(undefined));
    const tell = (step: string) => parts.sink({ at: time.now(), component: 'dhcp', step, node });
    /** One message to the imager and its answer. */
    const ask = (asked: 'discover' | 'request', answer: 'offer' | 'ack', take: () => void) =>
      network.send(node, `dhcp-${asked}`, () => {
        if (!imager.running) return;
        tell(asked);
        if (address === undefined) return;
        tell(answer);
        network.send(node, `dhcp-${answer}`, () => {
          if (!over) take();
        });
      });
    const discover = (waitMs: number) => {
      if (over || life.over) return;
      ask('discover', 'offer', () => ask('request', 'ack', () => end(address)));
      time.after(waitMs, () => discover(Math.min(2 * waitMs, DHCP_MS.longest)));
    };
    discover(DHCP_MS.first);
  });
}

/** Loads a file of an image; true once all of it is there, false after an error, or where nothing comes any more. */
export async function loadFile(
  parts: ServiceParts,
  life: Life,
  image: string,
  file: BootFile,
): Promise<boolean> {
  const { imager } = parts;
  const path = `images/${image}/${FILES[file].name}`;
  if ((await ask(parts, life, image, path)) !== true) return false;
  const { starts } = imager;
  await life.sleep(FILES[file].milliseconds + FILES[file].windows * parts.blocks().delay);
  for (let wait = 0; wait < TFTP_WAITS; wait++) {
    if (imager.running && imager.starts === starts && !parts.blocks().lost) {
      parts.sink({
        at: parts.time.now(),
        component: 'tftp',
        step: 'transfer-end',
        node: parts.node,
        detail: { file: path },
      });
      return true;
    }
    await life.sleep(TFTP_WAIT_MS);
  }
  return false;
}

/** The read request, until it is answered: true, or false by an error. Undefined where nothing came. */
async function ask(
  parts: ServiceParts,
  life: Life,
  image: string,
  path: string,
): Promise<boolean | undefined> {
  const { time, network, imager, node } = parts;
  let answer: boolean | undefined;
  for (let wait = 0; wait < TFTP_WAITS; wait++) {
    const answered = new Promise<void>((resolve) => {
      network.send(node, 'tftp-read', () => {
        if (!imager.running) return;
        const found = imager.image(image) !== undefined;
        parts.sink({
          ...{ at: time.now(), component: 'tftp', step: found ? 'transfer-start' : 'refused', node },
          detail: { file: path },
        });
        network.send(node, found ? 'tftp-oack' : 'tftp-error', () => {
          answer = found;
          resolve();
        });
      });
    });
    await Promise.race([answered, life.sleep(TFTP_WAIT_MS)]);
    if (answer !== undefined) return answer;
  }
  return undefined;
}
