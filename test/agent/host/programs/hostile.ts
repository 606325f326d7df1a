/** Prints the outcome of each packet of a file: lengths of four bytes, the first of a number first, and the packets. */
import { start } from '../../../../agent/quickjs/start.ts';
import { outcome } from '../outcome.ts';

start(async (host, [path = '']) => {
  const bytes = host.readFile(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at);
    const packet = bytes.subarray(at + 4, at + 4 + length);
    tryJson(packet);
    host.print(outcome(packet));
    at += 4 + length;
  }
});

/** As a journal is read. What is taken is not compared: QuickJS takes `1.` and `"\\x41"`, which are no JSON. */
function tryJson(packet: Uint8Array): void {
  try {
    JSON.parse(new TextDecoder().decode(packet));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}
