import type { Connection } from '../../agent/linux/host.ts';

/** What a connection to a server that sends everything back, and ends after `bye`, did. */
export interface Echoed {
  received: Uint8Array;
  /** Bytes that came back before `bye` was said. */
  length: number;
  /** What the last read gave. */
  end: string;
}

/** Sends `sent` in two writes at once, of which neither waits for the other, reads it back, and closes twice. */
export async function echoed(connection: Connection, sent: Uint8Array, secondWrite: number): Promise<Echoed> {
  const first = sent.length - secondWrite;
  const writes = Promise.all([
    connection.write(sent.subarray(0, first)),
    connection.write(sent.subarray(first)),
  ]);
  const received = new Uint8Array(sent.length);
  let length = 0;
  while (length < sent.length) {
    const chunk = await connection.read();
    if (chunk === undefined || chunk.length === 0 || chunk.length > 65_536) break;
    received.set(chunk, length);
    length += chunk.length;
  }
  await writes;
  await connection.write(new TextEncoder().encode('bye'));
  let end = await connection.read();
  while (end !== undefined) end = await connection.read();
  connection.close();
  connection.close();
  return { received, length, end: String(end) };
}
