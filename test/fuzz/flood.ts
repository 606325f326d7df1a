/**
 * Garbage at a steady rate: `flood SERVER SEED RATE`, until it is ended. Bent and random DHCP messages from many MACs, bent
 * TFTP requests, and bent HTTP, agent and disk conversations. Prints `ready`, then how much it has sent.
 */
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { openUdp } from '../../imager/udp/open.ts';
import { Mutator } from './mutate.ts';
import { Random } from './random.ts';
import { dhcpTarget } from './targets/dhcp.ts';
import { frameTarget } from './targets/frames.ts';
import { tftpTarget } from './targets/tftp.ts';

const [, , server = '', seed = '1', rate = '10000'] = process.argv;
const TICK_MS = 5;
/** A flood that was held up makes up for so much at most, at so many times its rate. */
const MOST_BEHIND_MS = 2000;
const CATCH_UP = 3;
/** Of a hundred packets: DHCP, TFTP, the rest TCP, or TFTP too where as many connections are open as may be. */
const DHCP_SHARE = 50;
const TFTP_SHARE = 46;
const MAC_OFFSET = 28;
/** More than an imager takes of one client. */
const CONNECTIONS = 40;
const TCP_PORTS = [80, 4747, 10809];
/** Longer datagrams are sent in fragments. */
const LONGEST = 1472;

const random = new Random();
const dhcp = new Mutator({ ...dhcpTarget(), maxLength: LONGEST });
const tftp = new Mutator({ ...tftpTarget(), maxLength: LONGEST });
const frame = new Mutator({ ...frameTarget(), maxLength: LONGEST });
const http = new Mutator({
  seeds: [
    'GET /images/alpha/kernel HTTP/1.1\r\nHost: 10.77.0.1\r\nRange: bytes=0-99\r\n\r\n',
    'HEAD /boot.ipxe HTTP/1.0\r\n\r\n',
    'POST /api/nodes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ].map((text) => Buffer.from(text)),
  tokens: ['\r\n', '\r\n\r\n', 'Content-Length: 99999999999\r\n', '%2e%2e/', '\0', 'chunked'].map((text) =>
    Buffer.from(text),
  ),
  maxLength: LONGEST,
});

const sockets = await Promise.all(Array.from({ length: 16 }, () => openUdp({ address: '0.0.0.0', port: 0 })));
// Or an emulator beside it, which takes all the time it is given, would thin it. Where that is not allowed, so be it.
try {
  setPriority(constants.priority.PRIORITY_HIGH);
} catch {}
let index = 0;
let sent = 0;
let open = 0;
let due = 0;
const start = performance.now();
let last = start;

process.stdout.write('ready\n');
setInterval(() => {
  const now = performance.now();
  const perMs = Number(rate) / 1000;
  due = Math.min(due + (now - last) * perMs, MOST_BEHIND_MS * perMs);
  last = now;
  for (let left = TICK_MS * perMs * CATCH_UP; due >= 1 && left > 0; left--, due--) send();
}, TICK_MS);
setInterval(() => process.stdout.write(`sent ${sent} ${Math.round(performance.now() - start)}\n`), 200);

function send(): void {
  random.begin(Number(seed), index++);
  const kind = random.below(100);
  if (kind >= DHCP_SHARE + TFTP_SHARE && open < CONNECTIONS) {
    talk();
    return;
  }
  const isDhcp = kind < DHCP_SHARE;
  const bytes = Buffer.from((isDhcp ? dhcp : tftp).make(random));
  // Nobody's MAC, and another one each time: garbage that says it is a node is that node's own.
  if (isDhcp && bytes.length >= MAC_OFFSET + 6) {
    bytes[MAC_OFFSET] = 0x02;
    bytes.writeUInt32BE(random.uint32(), MAC_OFFSET + 2);
  }
  sockets[random.below(sockets.length)]!.send(bytes, isDhcp ? 67 : 69, server, (error) => {
    if (error === null) sent++;
  });
}

/** A connection that says something bent and leaves at once, or stays a while without a word. */
function talk(): void {
  open++;
  const port = TCP_PORTS[random.below(TCP_PORTS.length)]!;
  const bytes = Buffer.from((port === 80 ? http : frame).make(random));
  const socket = connect(port, server, () => {
    socket.write(bytes);
    if (!random.once(8)) socket.end();
  });
  socket.setTimeout(1000, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('close', () => open--);
  socket.resume();
  sent++;
}
