/** Real clients against the server, each in a network namespace of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { Lab, type RunningServer } from './lab.ts';

const NODE_MAC = '52:54:00:77:00:11';
const POOL = { from: '10.77.0.100', to: '10.77.0.199' };
const RESERVATIONS = [
  { node: 'n1', address: '10.77.0.11', hostname: 'node-one', mac: NODE_MAC },
  { node: 'n2', address: '10.77.0.12', uid: '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0' },
  { node: 'n3', address: '10.77.0.13', clientId: Buffer.from('node-three').toString('hex') },
  { node: 'n4', address: '10.77.0.14', circuit: Buffer.from('port7').toString('hex') },
];

const files = mkdtempSync(join(tmpdir(), 'dhcp-clients-'));
const printScript = join(files, 'print.sh');
writeFileSync(printScript, '#!/bin/sh\necho "@$1"\nenv | sort\n', { mode: 0o755 });
const applyScript = join(files, 'apply.sh');
writeFileSync(
  applyScript,
  '#!/bin/sh\ncase $1 in bound) ip addr add $ip/$mask dev $interface;; esac\necho "$1 $ip $lease" >$STEPS\n',
  { mode: 0o755 },
);

let lab: Lab;
let server: RunningServer;

beforeAll(async () => {
  lab = await Lab.open();
  server = await lab.serve({ pool: POOL, reservations: RESERVATIONS, leaseSeconds: 600 });
});
afterAll(async () => {
  await lab?.close();
  rmSync(files, { recursive: true });
});

/** The variables a client's script was run with for `reason`. */
function variables(output: string, reason: string): Record<string, string> {
  const part = output.split(/^@/m).find((text) => text.startsWith(`${reason}\n`)) ?? '';
  return Object.fromEntries(
    part
      .split('\n')
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

describe('busybox udhcpc', () => {
  test('a reserved node gets its address, name and boot file', async () => {
    const client = await lab.client(NODE_MAC);
    const output = await client.run(
      `busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${printScript} -O bootfile -O tftp -O hostname`,
    );
    expect(variables(output, 'bound')).toMatchObject({
      ip: '10.77.0.11',
      mask: '24',
      subnet: '255.255.255.0',
      router: '10.77.0.1',
      dns: '10.77.0.1',
      serverid: '10.77.0.1',
      siaddr: '10.77.0.1',
      hostname: 'node-one',
      lease: '600',
      boot_file: 'boot-any.img',
      bootfile: 'boot-any.img',
      tftp: '10.77.0.1',
    });
    const ack = await server.event((event) => event.step === 'ack' && event.mac === NODE_MAC);
    expect(ack).toMatchObject({ component: 'dhcp', address: '10.77.0.11', node: 'n1' });
  });

  test('a UID in option 97 leads to its node, and later its MAC alone does', async () => {
    const mac = '52:54:00:77:00:12';
    const client = await lab.client(mac);
    const uid = '003c2d1e0f5a4b78698796a5b4c3d2e1f0';
    const first = await client.run(
      `busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${printScript} -x 0x61:${uid} -V PXEClient:Arch:00007:UNDI:003016 -x 0x5d:0007`,
    );
    expect(variables(first, 'bound')).toMatchObject({ ip: '10.77.0.12', boot_file: 'boot-7.img' });
    const second = await client.run(`busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${printScript}`);
    expect(variables(second, 'bound')).toMatchObject({ ip: '10.77.0.12' });
  });

  test('behind a switch that says where it is attached (option 82) it is the node of that port', async () => {
    const client = await lab.client('52:54:00:77:00:15');
    const circuit = `0105${Buffer.from('port7').toString('hex')}`;
    const output = await client.run(
      `busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -x 0x52:${circuit} -s ${printScript}`,
    );
    expect(variables(output, 'bound')).toMatchObject({ ip: '10.77.0.14' });
  });

  test('renews by unicast, releases at its end, and finds its address again', async () => {
    const mac = '52:54:00:77:00:13';
    const client = await lab.client(mac);
    const of = (step: string) => server.events().filter((event) => event.step === step && event.mac === mac);
    const steps = mkdtempSync(join(files, 'steps-'));
    // Its script reports through a pipe; on a signal it renews at once instead of after half the lease.
    const output = await client.run(`
      mkfifo ${steps}/pipe; exec 3<>${steps}/pipe
      STEPS=${steps}/pipe busybox udhcpc -i eth0 -n -R -f -t 3 -T 1 -s ${applyScript} & pid=$!
      while read step address lease <&3; do
        echo "@$step $address $lease"
        case $step in bound) kill -USR1 $pid;; renew) kill -TERM $pid; break;; esac
      done; wait $pid`);
    expect(output).toMatch(/@bound 10\.77\.0\.1\d\d 600/);
    expect(output).toMatch(/@renew 10\.77\.0\.1\d\d 600/);
    await server.event((event) => event.step === 'release' && event.mac === mac);
    expect(of('release')[0]?.reason).toBeUndefined();
    expect(of('ack').length).toBeGreaterThanOrEqual(2);
    await client.run('ip addr flush dev eth0');
    const again = await client.run(`busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${printScript}`);
    expect(variables(again, 'bound').ip).toBe(of('ack')[0]?.address);
  });

  test('a wish for an address that is reserved for another node is not granted', async () => {
    const client = await lab.client('52:54:00:77:00:14');
    const output = await client.run(
      `busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -r 10.77.0.11 -s ${printScript}`,
    );
    expect(variables(output, 'bound').ip).toMatch(/^10\.77\.0\.1\d\d$/);
  });
});

describe('ISC dhclient', () => {
  const script = join(files, 'dhclient-script');
  writeFileSync(
    script,
    `#!/bin/sh
echo "@$reason"
env | sort
case $reason in BOUND|REBOOT) ip addr add $new_ip_address/24 dev $interface;; esac
`,
    { mode: 0o755 },
  );

  /** A client with files of its own; what it is run with comes last. */
  function dhclient(lease = '', settings = ''): (action: string) => string {
    const dir = mkdtempSync(join(files, 'dhclient-'));
    writeFileSync(join(dir, 'conf'), `timeout 8;\n${settings}`);
    writeFileSync(join(dir, 'leases'), lease);
    return (action) =>
      `timeout 12 dhclient -4 -v ${action} -lf ${dir}/leases -pf ${dir}/pid -cf ${dir}/conf -sf ${script} eth0`;
  }

  test('binds, keeps its address over INIT-REBOOT, releases it', async () => {
    const mac = '52:54:00:77:00:21';
    const client = await lab.client(mac);
    const run = dhclient();
    const bound = variables(await client.run(run('-1')), 'BOUND');
    expect(bound).toMatchObject({
      new_subnet_mask: '255.255.255.0',
      new_broadcast_address: '10.77.0.255',
      new_routers: '10.77.0.1',
      new_dhcp_server_identifier: '10.77.0.1',
      new_dhcp_lease_time: '600',
    });
    await client.run(`${run('-x')}; ip addr flush dev eth0`);
    const rebooted = await client.run(run('-1'));
    expect(rebooted).not.toContain('DHCPDISCOVER');
    expect(variables(rebooted, 'REBOOT').new_ip_address).toBe(bound.new_ip_address);
    await client.run(run('-r'));
    const release = await server.event((event) => event.step === 'release' && event.mac === mac);
    expect(release).toMatchObject({ address: bound.new_ip_address });
    expect(release.reason).toBeUndefined();
  });

  test('a client identifier leads to its node, whatever the MAC', async () => {
    const client = await lab.client('52:54:00:77:00:23');
    const run = dhclient('', 'send dhcp-client-identifier "node-three";\n');
    const output = await client.run(run('-1'));
    expect(variables(output, 'BOUND')).toMatchObject({ new_ip_address: '10.77.0.13' });
  });

  test("another node's address is refused with NAK, then it gets one of its own", async () => {
    const mac = '52:54:00:77:00:22';
    const client = await lab.client(mac);
    const run = dhclient(`lease {
  interface "eth0";
  fixed-address 10.77.0.11;
  option subnet-mask 255.255.255.0;
  option dhcp-server-identifier 10.77.0.1;
  renew 2 2038/01/01 00:00:00; rebind 2 2038/01/01 00:00:00; expire 2 2038/01/01 00:00:00;
}
`);
    const output = await client.run(run('-1'));
    expect(output).toContain('DHCPNAK from 10.77.0.1');
    expect(variables(output, 'BOUND').new_ip_address).toMatch(/^10\.77\.0\.1\d\d$/);
    const nak = await server.event((event) => event.step === 'nak' && event.mac === mac);
    expect(nak).toMatchObject({ address: '10.77.0.11', reason: 'reserved-for-other' });
  });
});

describe('dhcpcd', () => {
  test('binds, and keeps its address over INIT-REBOOT', async () => {
    const mac = '52:54:00:77:00:32';
    const client = await lab.client(mac);
    const hook = join(files, 'dhcpcd-hook');
    writeFileSync(hook, '#!/bin/sh\necho "@$reason $new_ip_address $new_dhcp_lease_time"\n', { mode: 0o755 });
    // It keeps leases and sockets in fixed places: folders of its own stand there. -A: no five seconds of ARP probes.
    const dhcpcd = `timeout 20 dhcpcd -4 -1 -A -B -f /dev/null -c ${hook} eth0`;
    writeFileSync(
      join(files, 'dhcpcd.sh'),
      `mount -t tmpfs none /run && mkdir /run/dhcpcd && mount -t tmpfs none /var/lib/dhcpcd
       ${dhcpcd}; ip addr flush dev eth0; echo "--- again"; ${dhcpcd}\n`,
    );
    const output = await client.run(`unshare --mount sh ${files}/dhcpcd.sh`);
    const [first, second] = output.split('--- again');
    const [, address] = /@BOUND (10\.77\.0\.1\d\d) 600/.exec(first!) ?? [];
    expect(address).toBeDefined();
    expect(second).toContain(`@REBOOT ${address} 600`);
    const steps = () => server.events().flatMap((event) => (event.mac === mac ? [event.step] : []));
    await eventually(() =>
      expect(steps()).toEqual(['discover', 'offer', 'request', 'ack', 'request', 'ack']),
    );
  });
});

describe('dnsmasq dhcp_release', () => {
  test('gives back the lease it names', async () => {
    const mac = '52:54:00:77:00:31';
    const client = await lab.client(mac);
    // Without a client identifier, as dhcp_release sends none either.
    const output = await client.run(`busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -C -s ${printScript}`);
    const ip = variables(output, 'bound').ip!;
    // It is a tool for the server's own machine: it takes the interface's address for the server's.
    await lab.space.check(['dhcp_release', 'br0', ip, mac]);
    const release = await server.event((event) => event.step === 'release' && event.mac === mac);
    expect(release).toMatchObject({ address: ip });
    expect(release.reason).toBeUndefined();
  });
});

describe('a conflict', () => {
  test('udhcpc finds its address in use, declines it and is given another', async () => {
    const mac = '52:54:00:77:00:41';
    const client = await lab.client(mac);
    const squatter = await lab.client('52:54:00:77:00:42');
    const plain = `busybox udhcpc -i eth0 -n -q -f -t 3 -T 1 -s ${printScript}`;
    const first = variables(await client.run(plain), 'bound').ip!;
    await squatter.run(`ip addr add ${first}/24 dev eth0`);
    const second = variables(await client.run(`${plain} -a -A 1`), 'bound').ip!;
    expect(second).not.toBe(first);
    const decline = await server.event((event) => event.step === 'decline' && event.mac === mac);
    expect(decline).toMatchObject({ address: first });
  });
});

test('with probes an address somebody answers at is passed over, though no lease says so', async () => {
  const settings = { config: { probe: true }, pool: { from: '10.77.0.50', to: '10.77.0.51' } };
  const own = await Lab.open();
  try {
    const asker = await own.serve({ ...settings, leaseSeconds: 600 });
    const quiet = await own.client('52:54:00:77:00:51');
    // It answers no ping, as many firewalls have it; ARP it must.
    await quiet.run('ip addr add 10.77.0.50/24 dev eth0; sysctl -qw net.ipv4.icmp_echo_ignore_all=1');
    const client = await own.client('52:54:00:77:00:52');
    const output = await client.run(
      `busybox udhcpc -i eth0 -n -q -f -t 3 -T 3 -r 10.77.0.50 -s ${printScript}`,
    );
    expect(variables(output, 'bound').ip).toBe('10.77.0.51');
    expect(await asker.event((event) => event.step === 'probe' && event.reason !== undefined)).toMatchObject({
      address: '10.77.0.50',
      reason: 'address-answers',
    });
  } finally {
    await own.close();
  }
});

test('another network of the same machine is neither heard nor answered, but for what is sent to the server', async () => {
  const link = 'ip link add br1 type bridge; ip addr add 10.78.0.1/24 dev br1; ip link set br1 up';
  await lab.space.check(['sh', '-ec', link]);
  const client = await lab.client('52:54:00:77:00:81', 'br1');
  const output = await client.run(`busybox udhcpc -i eth0 -n -q -f -t 2 -T 1 -s ${printScript}`);
  expect(output).toContain('no lease, failing');
  expect(output).not.toContain('@bound');
  expect(server.events().filter(({ mac }) => mac === '52:54:00:77:00:81')).toEqual([]);
  // It plays relay agent.
  await client.run('ip addr add 10.78.0.50/24 dev eth0; ip route add default via 10.78.0.1');
  await client.run('timeout 10 perfdhcp -4 -i -r 2 -p 1 10.77.0.1');
  await server.event(({ step, detail }) => step === 'discover' && detail?.relay === '10.78.0.50');
});

test('an OFFER leaves within 50 ms of its DISCOVER', () => {
  const events = server.events();
  const offers = events.filter((event) => event.step === 'offer');
  const waits = offers
    .map((offer) => {
      const asked = events.findLast(
        ({ step, mac, at }) => step === 'discover' && mac === offer.mac && at <= offer.at,
      );
      return offer.at - asked!.at;
    })
    .sort((a, b) => a - b);
  expect(waits.length).toBeGreaterThan(5);
  expect(waits[Math.floor(waits.length / 2)]).toBeLessThan(50);
});
