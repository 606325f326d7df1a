/** Says hello to an imager as a node that it is not, without its key. HOST LOCAL-ADDRESS UID DISK; prints the answer as JSON. */
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import { AGENT_PORT } from '../../agent/protocol/messages.ts';
import { hello, POINTER } from '../agents/hello.ts';
import { connectSecure } from './secure.ts';

const [host = '', localAddress = '', uid = '', disk = ''] = process.argv.slice(2);
const { socket } = await connectSecure({ port: AGENT_PORT, host, localAddress });
const pointer = { ...POINTER, disks: [disk] };
socket.write(encodeFrame(hello({ uid, pointer, keeps: true, keptOn: disk })));
const reader = new FrameReader();
socket.on('data', (chunk) => {
  for (const value of reader.push(chunk)) console.log(JSON.stringify(value));
  socket.destroy();
});
