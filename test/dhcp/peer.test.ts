/**
 * The client of npm `dhcp` 0.2.20 against this server: a decoder and encoder that share nothing with ours. Its first
 * REQUEST names neither server nor address, against RFC 2131 section 4.3.2, so it is bound in its second round only.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../support/inside.ts';
import { Lab, type RunningServer } from './lab.ts';

let lab: Lab;
let server: RunningServer;

beforeAll(async () => {
  lab = await Lab.open();
  server = await lab.serve({ pool: { from: '10.77.0.100', to: '10.77.0.199' } });
});
afterAll(() => lab?.close());

test('it is bound, in its second round, with the options it asks for', async () => {
  const mac = '52:54:00:77:00:61';
  const client = await lab.client(mac);
  const program = await bundle('test/dhcp/programs/peer.ts');
  // Its broadcasts need a route, its socket an address.
  await client.run('ip addr add 10.77.0.240/24 dev eth0; ip route add 255.255.255.255 dev eth0');
  const output = await client.run(`timeout 10 ${process.execPath} ${program} ${mac}`);
  const state = JSON.parse(output.slice(output.indexOf('{'))) as Record<string, unknown>;
  const ack = await server.event((event) => event.step === 'ack' && event.mac === mac);
  expect(server.events().find((event) => event.reason !== undefined)).toMatchObject({
    step: 'request',
    reason: 'no-address',
  });
  expect(state).toMatchObject({
    address: ack.address,
    server: '10.77.0.1',
    options: { netmask: '255.255.255.0', router: ['10.77.0.1'], dns: ['10.77.0.1'] },
  });
});
