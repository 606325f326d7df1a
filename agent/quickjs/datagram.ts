/** Datagrams of the QuickJS host: one out of a named interface, and what comes back. */
import * as bw from 'bw';
import { POLLIN, startTimer, stopTimer, unwatch, watch } from './loop.ts';

const DATAGRAM_MAX = 1500;

/** As Host.ask(). */
export async function ask(
  name: string,
  peer: { address: string; port: number },
  bytes: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array | undefined> {
  const fd = bw.askStart(name, peer.address, peer.port, bytes);
  try {
    const came = await new Promise<boolean>((decided) => {
      const timer = startTimer(() => {
        unwatch(fd, POLLIN);
        decided(false);
      }, timeoutMs);
      watch(fd, POLLIN, () => {
        stopTimer(timer);
        decided(true);
      });
    });
    const answer = came ? bw.read(fd, DATAGRAM_MAX) : null;
    return answer === null ? undefined : new Uint8Array(answer);
  } finally {
    bw.close(fd);
  }
}
