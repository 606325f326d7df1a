/** An agent of the tests as a program: says hello, reports steps, does what it is asked, prints what it sees. */
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import { type AgentMessage, parseImagerMessage } from '../../agent/protocol/messages.ts';
import { hello, POINTER } from '../agents/hello.ts';
import { connectSecure } from '../support/secure.ts';

const [imager = '', port = '', mac = '', disk = ''] = process.argv.slice(2);

let pointer = { ...POINTER, disks: [disk], imagers: [imager], deployment: 'first', fallback: 'base' };

const { socket } = await connectSecure({ port: Number(port), host: imager });
const send = (message: AgentMessage) => socket.write(encodeFrame(message));
const reader = new FrameReader();

send(hello({ uid: `serial:${mac}`, macs: [mac], pointer }));
socket.on('data', (chunk) => {
  for (const value of reader.push(chunk)) {
    const message = parseImagerMessage(value);
    console.log(JSON.stringify(message));
    if (message.type === 'welcome') {
      const processor = { kind: 'processor' as const, key: 'package 0', fields: { arch: 'x86_64' } };
      send({ type: 'resources', resources: [processor], faults: [] });
      send({ type: 'step', seq: 1, step: 'mounted', uptime: 2 });
    }
    if (message.type === 'flash') {
      const { type, request, ...target } = message;
      pointer = { ...pointer, ...target, sequence: pointer.sequence + 1, phase: 'deploy' };
      send({ type: 'done', request, pointer });
    }
    if (message.type === 'power') send({ type: 'done', request: message.request });
  }
});
socket.on('error', (error) => console.log(`error ${error.message}`));
socket.on('close', () => console.log('closed'));
