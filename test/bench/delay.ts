/**
 * A network that is far away, for benches on kernels without netem: passes TCP connections on to a port of this
 * machine, each byte half of a round trip later. Usage: delay.ts PORT MILLISECONDS. Prints "ready PORT".
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

const [port, roundTrip] = process.argv.slice(2).map(Number) as [number, number];
/** Timers are due up to a millisecond late: the last stretch is waited for by looking at the clock. */
const TIMER_MS = 2;

function pass(from: Socket, to: Socket): void {
  const queue: { due: number; chunk: Buffer }[] = [];
  const drain = (): void => {
    const now = performance.now();
    while (queue.length > 0 && queue[0]!.due <= now) to.write(queue.shift()!.chunk);
    const wait = (queue[0]?.due ?? now) - now;
    if (queue.length > 0) wait > TIMER_MS ? setTimeout(drain, wait - TIMER_MS) : setImmediate(drain);
  };
  from.on('data', (chunk: Buffer) => {
    queue.push({ due: performance.now() + roundTrip / 2, chunk });
    if (queue.length === 1) drain();
  });
  from.on('error', () => {});
  from.on('close', () => setTimeout(() => to.end(), roundTrip));
}

const server = createServer({ noDelay: true }, (near) => {
  const far = connect({ host: '127.0.0.1', port, noDelay: true });
  pass(near, far);
  pass(far, near);
});
server.listen(0, '127.0.0.1', () => console.log(`ready ${(server.address() as AddressInfo).port}`));
