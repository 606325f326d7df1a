/** Real clients behind a real relay agent, dnsmasq, in a network of their own; and perfdhcp, which is a relay agent. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab, type LabClient, type RunningServer } from './lab.ts';

const files = mkdtempSync(join(tmpdir(), 'dhcp-relay-'));
const script = join(files, 'script.sh');
writeFileSync(
  script,
  `#!/bin/sh
case $1 in
  bound) ip addr add $ip/$mask dev $interface; ip route add default via $router;;
  deconfig) ip addr flush dev $interface;;
esac
echo "@$1 $ip/$mask router=$router domain=$domain siaddr=$siaddr lease=$lease"
echo "$1" >"\${STEPS:-/dev/null}"
`,
  { mode: 0o755 },
);

let lab: Lab;
let server: RunningServer;
let relay: LabClient;

beforeAll(async () => {
  lab = await Lab.open();
  server = await lab.serve({
    pool: { from: '10.77.0.100', to: '10.77.0.199' },
    reservations: [{ node: 'rack1', address: '10.78.0.50', hostname: 'rack-one', mac: '52:54:00:78:00:50' }],
    config: {
      subnets: [
        {
          network: '10.78.0.0',
          prefix: 24,
          router: '10.78.0.1',
          domain: 'rack.example',
          leaseSeconds: 300,
          pools: [{ from: '10.78.0.100', to: '10.78.0.109' }],
        },
      ],
    },
  });
  relay = await lab.client('52:54:00:77:00:fe');
  await relay.run(`
    ip addr add 10.77.0.254/24 dev eth0
    ip link add br1 type bridge stp_state 0 forward_delay 0; ip addr add 10.78.0.1/24 dev br1; ip link set br1 up
    sysctl -qw net.ipv4.ip_forward=1
    dnsmasq --conf-file=/dev/null --port=0 --user=root --pid-file=${files}/pid --dhcp-relay=10.78.0.1,10.77.0.1`);
  await lab.space.check(['ip', 'route', 'add', '10.78.0.0/24', 'via', '10.77.0.254']);
});
afterAll(async () => {
  await lab?.close();
  rmSync(files, { recursive: true });
});

test('a client gets an address of its network, renews past the relay agent and gives it back', async () => {
  const mac = '52:54:00:78:00:11';
  const client = await lab.behind(relay, mac, 'br1');
  const output = await client.run(`
    mkfifo ${files}/pipe; exec 3<>${files}/pipe
    STEPS=${files}/pipe busybox udhcpc -i eth0 -n -R -f -t 3 -T 1 -O domain -s ${script} & pid=$!
    while read step <&3; do
      case $step in bound) kill -USR1 $pid;; renew) kill -TERM $pid; break;; esac
    done; wait $pid`);
  const said =
    /@bound (10\.78\.0\.10\d)\/24 router=10\.78\.0\.1 domain=rack\.example siaddr=10\.77\.0\.1 lease=300/;
  expect(output).toMatch(said);
  const address = said.exec(output)![1]!;
  expect(output).toContain(`@renew ${address}/24`);
  const release = await server.event((event) => event.step === 'release' && event.mac === mac);
  expect(release).toMatchObject({ address });
  const requests = server.events().filter((event) => event.step === 'request' && event.mac === mac);
  // It may ask a second time: on a busy machine before the answer is there, and where the answer to its renewal is so
  // quick that the socket it asked with, not the one it listens with, still gets it (busybox, udhcp_send_kernel_packet).
  const ways = requests.map(({ detail }) => `${detail?.subnet} ${detail?.relay ?? 'by unicast'}`);
  expect([...new Set(ways)]).toEqual(['10.78.0.0/24 10.78.0.1', '10.78.0.0/24 by unicast']);
});

test('a node gets its reserved address there', async () => {
  const client = await lab.behind(relay, '52:54:00:78:00:50', 'br1');
  const output = await client.run(`busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${script}`);
  expect(output).toContain('@bound 10.78.0.50/24');
});

test('what it had in another network is refused at once, not left to time out', async () => {
  const mac = '52:54:00:78:00:12';
  const client = await lab.behind(relay, mac, 'br1');
  writeFileSync(
    join(files, 'leases'),
    `lease {
  interface "eth0";
  fixed-address 172.16.5.5;
  option subnet-mask 255.255.255.0;
  option dhcp-server-identifier 172.16.5.1;
  renew 2 2038/01/01 00:00:00; rebind 2 2038/01/01 00:00:00; expire 2 2038/01/01 00:00:00;
}
`,
  );
  writeFileSync(join(files, 'conf'), 'timeout 8;\n');
  const output = await client.run(
    `timeout 12 dhclient -4 -v -1 -lf ${files}/leases -pf ${files}/dhclient.pid -cf ${files}/conf -sf /bin/true eth0`,
  );
  expect(output).toContain('DHCPNAK from 10.78.0.1');
  expect(output).toMatch(/bound to 10\.78\.0\.10\d/);
  const nak = await server.event((event) => event.step === 'nak' && event.mac === mac);
  expect(nak).toMatchObject({ address: '172.16.5.5', reason: 'wrong-network' });
});

// A client's turn comes again after 0.9 s: one that asks anew while it waits is answered once.
test('perfdhcp: four-way exchanges of 90 clients, none lost', async () => {
  const client = await lab.client('52:54:00:77:00:fd');
  await client.run('ip addr add 10.77.0.253/24 dev eth0');
  const output = await client.run('perfdhcp -4 -l 10.77.0.253 -r 100 -n 300 -R 90 -d 5 -W 2000000 10.77.0.1');
  const figures = ['DISCOVER-OFFER', 'REQUEST-ACK'].map((exchange) => {
    const part = output.slice(output.indexOf(`Statistics for: ${exchange}`));
    const figure = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(part)?.[1]);
    return {
      sent: figure('sent packets'),
      received: figure('received packets'),
      drops: figure('drops'),
      refused: figure('rejected leases'),
      shared: figure('non unique addresses'),
    };
  });
  const whole = { sent: 300, received: 300, drops: 0, refused: 0, shared: 0 };
  expect(figures, output).toEqual([whole, whole]);
});
