/** Faults of the network as nftables has them: which packets get lost between a node and the imager's end, and which do not. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { NetworkNamespace } from '../../../firmware-stubs/rig/namespace.ts';
import { TRAFFIC, type Traffic } from '../../../firmware-stubs/rig/scenario/action.ts';
import { type Drop, dropRules } from '../../../firmware-stubs/rig/scenario/network-faults.ts';
import { LabClient } from '../../dhcp/lab.ts';

const PORTS = { dhcp: 67, dhcpClient: 68, tftp: 69, http: 80, nbd: 10809, agent: 7878 };
/** Where a TFTP server sends a file from. */
const TRANSFER = 40_069;
const NODE_MAC = '52:54:00:77:00:11';

const ECHO = `
  const { createServer } = require('node:net'), { createSocket } = require('node:dgram');
  const listening = [];
  for (const port of [${PORTS.http}, ${PORTS.nbd}, ${PORTS.agent}])
    listening.push(new Promise((done) => createServer((peer) => peer.on('error', () => {}).pipe(peer)).listen(port, done)));
  for (const port of [${PORTS.dhcp}, ${PORTS.tftp}, ${TRANSFER}]) listening.push(new Promise((done) => {
    const socket = createSocket('udp4', (text, from) => socket.send(text, from.port, from.address)).bind(port, done);
  }));
  Promise.all(listening).then(() => console.log('listening'));
`;

/** Prints the kinds that were answered; waits a second for each that LOST names, and until an answer comes for the others. */
const ASK = `
  const { connect } = require('node:net'), { createSocket } = require('node:dgram');
  const within = (kind) => (process.env.LOST.split(',').includes(kind) ? 1000 : 25_000);
  const tcp = (kind, port) => new Promise((done) => {
    const socket = connect(port, '10.77.0.1', () => socket.write('?')).on('data', () => done(kind)).on('error', () => done());
    setTimeout(done, within(kind));
  });
  const udp = (kind, port, own) => new Promise((done) => {
    const socket = createSocket('udp4', () => done(kind)).bind(own, () => socket.send('?', port, '10.77.0.1'));
    setTimeout(done, within(kind));
  });
  Promise.all([
    udp('dhcp', ${PORTS.dhcp}, ${PORTS.dhcpClient}), udp('tftp', ${PORTS.tftp}, 2069), udp('transfer', ${TRANSFER}, 2070),
    tcp('http', ${PORTS.http}), tcp('nbd', ${PORTS.nbd}), tcp('agent', ${PORTS.agent}),
  ]).then((kinds) => { console.log(kinds.join(' ')); process.exit(); });
`;

let space: NetworkNamespace;
let node: LabClient;

beforeAll(async () => {
  space = await NetworkNamespace.open();
  await space.check([
    'sh',
    '-ec',
    'ip link add br0 type bridge stp_state 0 forward_delay 0; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up',
  ]);
  const server: ChildProcess = space.spawn([process.execPath, '-e', ECHO], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(server.stdout!, 'data');
  node = await LabClient.open(space, 'tap0', NODE_MAC, { bridge: 'br0' });
  const mac = JSON.parse(await space.check(['ip', '-json', 'link', 'show', 'br0']))[0].address;
  // Both ends know each other's address: what is lost of ARP shall cost nothing else.
  await node.run(`ip addr add 10.77.0.11/24 dev eth0; ip neigh replace 10.77.0.1 lladdr ${mac} dev eth0`);
  await space.check(['ip', 'neigh', 'replace', '10.77.0.11', 'lladdr', NODE_MAC, 'dev', 'br0']);
});
afterAll(() => space?.close());

/** What a node gets answers of. */
const ANSWERED = ['arp', 'dhcp', 'tftp', 'transfer', 'http', 'nbd', 'agent'];
const LOST: Partial<Record<Traffic, string[]>> = { all: ANSWERED, tftp: ['tftp', 'transfer'] };

async function load(drops: readonly Drop[]): Promise<void> {
  await space.check(['nft', '-f', '-'], { input: dropRules(drops, PORTS) });
}

async function answered(lost: readonly string[]): Promise<string[]> {
  const arp = await node.run(
    `busybox arping -q -f -c 1 -w ${lost.includes('arp') ? 1 : 25} -I eth0 10.77.0.1 && echo arp`,
  );
  const others = await node.run(`LOST=${lost.join()} ${process.execPath} -e '${ASK.replaceAll("'", '"')}'`);
  return `${arp} ${others}`.split(/\s+/).filter((kind) => kind !== '');
}

test.each(TRAFFIC)('%s: it gets lost and nothing else does, until it is healed', async (traffic) => {
  const lost = LOST[traffic] ?? [traffic];
  await load([{ tap: 'tap0', traffic }]);
  expect(await answered(lost)).toEqual(ANSWERED.filter((kind) => !lost.includes(kind)));
  await load([]);
  expect(await answered([])).toEqual(ANSWERED);
});

test('faults add up, each for its own node', async () => {
  await load([
    { tap: 'tap0', traffic: 'nbd' },
    { tap: 'tap0', traffic: 'dhcp' },
    { tap: 'tap1', traffic: 'all' },
  ]);
  expect(await answered(['nbd', 'dhcp'])).toEqual(['arp', 'tftp', 'transfer', 'http', 'agent']);
  await load([]);
});
