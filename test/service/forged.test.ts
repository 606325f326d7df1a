/** Datagrams that nobody can be answered: from port 0. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeProbe, NONCE_SIZE } from '../../agent/protocol/heartbeat.ts';
import { ServiceLab } from './lab.ts';

/** Arguments: the port, and the payload in hexadecimal digits. Without a checksum, which IPv4 allows. */
const FROM_PORT_0 = `import socket, struct, sys
port, payload = int(sys.argv[1]), bytes.fromhex(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.sendto(struct.pack('>HHHH', 0, port, 8 + len(payload), 0) + payload, ('10.77.0.1', 0))`;

let lab: ServiceLab;
beforeAll(async () => {
  lab = await ServiceLab.open();
  await lab.serve();
});
afterAll(() => lab.close());

test.each([
  ['a probe of a node', 4747, encodeProbe(new Uint8Array(NONCE_SIZE)), 'agent', 'probe.port-zero'],
  ['a request for a file', 69, Buffer.from('\0\x01boot.ipxe\0octet\0'), 'tftp', 'dropped.port-zero'],
])('%s is counted, and no more', async (_what, port, payload, server, what) => {
  await lab.space.check(['python3', '-c', FROM_PORT_0, String(port), Buffer.from(payload).toString('hex')]);
  const line = `bootwright_server_total{server="${server}",what="${what}"} 1\n`;
  await expect.poll(() => lab.space.check(['curl', '-fsS', 'http://10.77.0.1/metrics'])).toContain(line);
});
