/** Answers every frame with a frame: { echo: what came }. For agent/protocol on QuickJS. */
import { encodeFrame, FrameReader } from '../../../../agent/protocol/frame.ts';
import { start } from '../../../../agent/quickjs/start.ts';

start(async (host, [port]) => {
  const connection = await host.connect('127.0.0.1', Number(port), 5000);
  const reader = new FrameReader();
  for (let bytes = await connection.read(); bytes !== undefined; bytes = await connection.read())
    for (const message of reader.push(bytes)) await connection.write(encodeFrame({ echo: message }));
  host.exit(0);
});
