/** DHCP: message, decision in a world of nodes, pools and relays, what comes of it, and the reply back again. */
import { readdirSync, readFileSync } from 'node:fs';
import { projectFile } from '../../../firmware-stubs/rig/project.ts';
import { decodeMessage, encodeMessage, MAX_MESSAGE, senderOf } from '../../../imager/dhcp/codec.ts';
import type { PxeMenu } from '../../../imager/dhcp/config.ts';
import { decide } from '../../../imager/dhcp/decide.ts';
import type { Decision } from '../../../imager/dhcp/decision.ts';
import { DhcpError } from '../../../imager/dhcp/error.ts';
import { decideProxy } from '../../../imager/dhcp/proxy.ts';
import { MAC, machineIdentifier, request, SERVER, text, world } from '../../dhcp/fakes.ts';
import { promise, refusable, type Target } from '../target.ts';

const UID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f6ff';
const POOL = 100;
const HOSTS = 254;
/** Apart from one packet to the next, milliseconds. */
const APART = 25;
const TYPES = ['discover', 'request', 'decline', 'release', 'inform'] as const;
/** Port 67, and who asks at port 4011. */
const SENDERS = [undefined, { address: '10.77.0.11', port: 4011 }, { address: '0.0.0.0', port: 68 }];
const MENU: PxeMenu = {
  prompt: 'Boot menu',
  seconds: 5,
  items: [
    { name: 'Rescue', boot: { file: 'rescue.0' } },
    { name: 'Usual', boot: 'normal' },
    { name: 'Disk', boot: 'local' },
  ],
};
const INTERESTING = [43, 50, 51, 54, 55, 57, 60, 61, 77, 82, 93, 97, 118, 175];

export function dhcpTarget(): Target {
  const inside = world({
    config: {
      pools: [{ from: '10.77.0.100', to: `10.77.0.${POOL + 99}` }],
      dns: ['10.77.0.2'],
      domain: 'lab.example',
      subnets: [
        {
          network: '10.78.0.0',
          prefix: 24,
          router: '10.78.0.1',
          pools: [{ from: '10.78.0.10', to: '10.78.0.29' }],
          leaseSeconds: 600,
          circuits: ['6369726331'],
        },
      ],
      options: [{ code: 66, value: text('10.77.0.9'), for: { class: 'PXEClient' } }],
      probe: true,
      menu: ({ userClass }) => (userClass === undefined ? MENU : undefined),
      bootFile: ({ arch }) =>
        arch === undefined
          ? undefined
          : arch === 3
            ? { why: 'no file for it' }
            : { file: `images/x/${arch}.efi` },
    },
    reservations: [
      { node: 'n1', address: '10.77.0.11', mac: MAC, uid: UID },
      { node: 'n2', address: '10.78.0.40', clientId: 'ff112233', hostname: 'second' },
      { node: 'n3', circuit: '706f727433' },
    ],
  });
  let turn = 0;
  const step = (decision: Decision): void => {
    if ('offer' in decision && decision.offer !== undefined) inside.leases.offer(decision.offer);
    if ('changes' in decision) void inside.leases.apply(decision.changes);
  };
  return {
    seeds: seeds(),
    tokens: INTERESTING.flatMap((code) => [
      Uint8Array.of(code, 4, 10, 77, 0, 100),
      Uint8Array.of(code, 0),
    ]).concat([
      Uint8Array.of(53, 1, 3),
      Uint8Array.of(52, 1, 3),
      Uint8Array.of(43, 7, 71, 4, 0x80, 0, 0, 0, 255),
      Uint8Array.of(71, 4, 0x80, 1, 0, 0),
      Uint8Array.of(82, 8, 1, 6, 112, 111, 114, 116, 51, 0),
      Uint8Array.of(10, 78, 0, 1),
      Uint8Array.of(255),
    ]),
    maxLength: MAX_MESSAGE + 64,
    async take(bytes) {
      turn++;
      inside.now += APART;
      inside.probed = () => (turn % 3 === 0 ? 'answers' : turn % 3 === 1 ? 'silent' : undefined);
      senderOf(bytes);
      const good = refusable(DhcpError, () => {
        const message = decodeMessage(bytes);
        const { bytes: again } = encodeMessage(message, MAX_MESSAGE);
        promise(decodeMessage(again).mac === message.mac, 'a message encoded can be decoded');
        const decision =
          turn % 4 === 0 ? decideProxy(message, inside, SENDERS[turn % 3]) : decide(message, inside);
        if (turn % 4 === 0 && decision.kind === 'reply')
          promise(decision.message.yiaddr === '0.0.0.0', 'proxies and boot servers give no addresses');
        step(decision);
        if (decision.kind === 'reply') answered(decision);
      });
      if (turn % 4096 === 0) {
        promise(inside.leases.view(inside.now).length <= 2 * HOSTS, 'one lease an address of the networks');
        // Lets what was committed come to an end, as a server's own loop does.
        await new Promise((done) => setImmediate(done));
      }
      return good;
    },
  };
}

function answered({ message, limit, to }: Extract<Decision, { kind: 'reply' }>): void {
  const { bytes, omitted } = encodeMessage(message, limit);
  promise(bytes.length >= 300 && bytes.length <= 1472, `a reply of ${bytes.length} bytes`);
  const read = decodeMessage(bytes);
  promise(
    read.op === 'reply' && read.xid === message.xid && read.mac === message.mac,
    'a reply to the request',
  );
  promise(!omitted.includes(53) && !omitted.includes(54), 'what makes it a reply is in it');
  promise(/^\d+\.\d+\.\d+\.\d+$/.test(to.address), 'it goes to an address');
  if (read.yiaddr !== '0.0.0.0') promise(/^10\.7[78]\.0\.\d+$/.test(read.yiaddr), `address ${read.yiaddr}`);
  promise(read.yiaddr !== SERVER, "the server's own address is not given away");
}

function seeds(): Uint8Array[] {
  const folder = projectFile('test/dhcp/captures');
  const captured = readdirSync(folder)
    .filter((name) => name.endsWith('.hex'))
    .map((name) => Buffer.from(readFileSync(`${folder}/${name}`, 'utf8').replaceAll('\n', ''), 'hex'));
  const pxe = {
    60: text('PXEClient:Arch:00007:UNDI:003016'),
    93: Uint8Array.of(0, 7),
    97: machineIdentifier(UID),
    55: Uint8Array.of(1, 3, 6, 12, 15, 43, 54, 60, 66, 67, 128, 150),
    57: Uint8Array.of(5, 192),
  };
  const made = TYPES.flatMap((type) => [
    request(
      type,
      { ciaddr: '10.77.0.11' },
      { 50: Uint8Array.of(10, 77, 0, 11), 54: Uint8Array.of(10, 77, 0, 1) },
    ),
    request(
      type,
      { giaddr: '10.78.0.1', mac: '52:54:00:00:00:02' },
      {
        ...pxe,
        82: Uint8Array.of(1, 5, 99, 105, 114, 99, 49, 5, 4, 10, 78, 0, 0, 11, 4, 10, 78, 0, 1),
      },
    ),
    request(type, { ciaddr: '10.77.0.11' }, { ...pxe, 43: Uint8Array.of(71, 4, 0x80, 0, 0, 0, 255) }),
    request(type, { mac: '52:54:00:00:00:03' }, { 61: Uint8Array.of(255, 17, 34, 51), 12: text('host') }),
    request(
      type,
      { mac: '52:54:00:00:00:04', broadcast: true, file: 'x', serverName: 'y' },
      {
        77: text('iPXE'),
        118: Uint8Array.of(10, 78, 0, 0),
        175: Uint8Array.of(177, 1, 1),
      },
    ),
  ]);
  return [...captured, ...made.map((message) => encodeMessage(message, 1472).bytes)];
}
