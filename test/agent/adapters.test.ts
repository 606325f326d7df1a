/** What a node says of its adapters, with a host whose clock and network are the test's. */
import { expect, test } from 'vitest';
import { Adapters } from '../../agent/linux/adapters.ts';
import { answerToProbe } from '../../agent/protocol/heartbeat.ts';
import { parseAgentMessage } from '../../agent/protocol/messages.ts';
import { FilesHost } from '../fakes/files-host.ts';

const IMAGER = { address: '10.0.0.1', port: 4747 };
const ETH0 = '/sys/class/net/eth0';

test('a machine that slept while a probe was away still says what an imager takes', async () => {
  const host = new FilesHost({
    [`${ETH0}/type`]: '1',
    [`${ETH0}/carrier`]: '1',
    [`${ETH0}/address`]: '52:54:00:00:00:01',
  });
  let now = 100;
  host.uptime = () => now;
  host.addressOf = () => '10.0.0.2';
  host.ask = async (_name, _address, _port, bytes) => {
    now += 3600;
    return answerToProbe(bytes);
  };
  const adapters = new Adapters(host);
  adapters.heartbeat(IMAGER);
  await new Promise(setImmediate);
  const heartbeat = adapters.heartbeat(IMAGER);
  expect(heartbeat.adapters).toMatchObject([{ name: 'eth0', path: 'up' }]);
  expect(parseAgentMessage(heartbeat)).toEqual(heartbeat);
});
