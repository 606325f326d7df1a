import { once } from 'node:events';
import { expect, test } from 'vitest';
import { hasNative, openNative } from '../../imager/udp/native.ts';
import { openPlain } from '../../imager/udp/plain.ts';
import { udpContract } from '../contract/udp.ts';
import { bindUdp, closeUdp } from '../support/udp.ts';

test('the native sockets are built', () => {
  expect(hasNative()).toBe(true);
});

test('a native socket tells the interface it hears; one that is not there is an error', async () => {
  const address = { address: '127.0.0.1', port: 0 };
  const socket = await openNative({ ...address, device: 'lo' })!;
  expect(socket.device).toBe('lo');
  await socket.close();
  await expect(openNative({ ...address, device: 'none0' })).rejects.toMatchObject({ code: 'ENODEV' });
});

test('a native socket answers a series by itself, and tells of its last, and of what comes between', async () => {
  const socket = await openNative({ address: '127.0.0.1', port: 0 })!;
  const [asker, stranger] = [await bindUdp('127.0.0.1', 0), await bindUdp('127.0.0.1', 0)];
  const own = asker.address().port;
  const heard: string[] = [];
  let wake = () => {};
  socket.listen({
    receive: (bytes, _address, port, answered, before) => {
      heard.push(`${bytes} ${port === own ? 'own' : 'other'} ${answered} ${before}`);
      wake();
    },
    failed: () => {},
  });
  const told = async (bytes: string, from = asker) => {
    from.send(bytes, socket.port, '127.0.0.1');
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    return heard.at(-1);
  };
  const asked = async (bytes: string) => {
    asker.send(bytes, socket.port, '127.0.0.1');
    return String(((await once(asker, 'message')) as [Buffer])[0]);
  };
  const arm = (question: string, head: string, bodies: string, size = 2) =>
    socket.expect!(
      { question: Buffer.from(question), head: Buffer.from(head), bodies: Buffer.from(bodies), size },
      own,
      '127.0.0.1',
    );

  expect(await told('early')).toBe('early own false 0');
  arm('? 1', '! 1', 'aabbccd');
  // What is sent to others meanwhile changes nothing.
  const greeted = once(stranger, 'message');
  socket.send(Buffer.from('hello'), stranger.address().port, '127.0.0.1');
  expect(await asked('? 1')).toBe('! 1aa');
  expect(await asked('? 2')).toBe('! 2bb');
  expect(heard).toHaveLength(1);
  const { count, msAgo } = socket.answers!();
  expect(count).toBe(2);
  expect(msAgo).toBeGreaterThanOrEqual(0);
  expect(socket.answers!()).toEqual({ count: 0, msAgo: 0 });
  expect(await asked('? 3')).toBe('! 3cc');
  const last = once(asker, 'message');
  expect(await told('? 4')).toBe('? 4 own true 1');
  expect(String((await last)[0])).toBe('! 4d');
  expect(await told('? 5')).toBe('? 5 own false 0');

  // One that is not the next ends it, whoever sends it.
  for (const [bytes, from] of [['? 2'], ['? 3x'], ['? '], [''], ['? 3', stranger]] as const) {
    arm('? 2', '! 2', 'aabbcc');
    expect(await asked('? 2')).toBe('! 2aa');
    const other = bytes === '? 2' ? '? 2' : bytes;
    expect(await told(other, from)).toBe(`${other} ${from === stranger ? 'other' : 'own'} false 1`);
    expect(await told('? 3')).toBe('? 3 own false 0');
  }
  // Empty, long, and what cannot be expected at all.
  arm('??', '!!', '');
  const empty = once(asker, 'message');
  expect(await told('??')).toBe('?? own true 0');
  expect(String((await empty)[0])).toBe('!!');
  arm('??', '!!', 'x'.repeat(60_000), 60_000);
  expect(await asked('??')).toBe(`!!${'x'.repeat(60_000)}`);
  for (const [question, head, size] of [
    ['?', '!!', 1],
    ['??', '!', 1],
    ['?'.repeat(17), '!!', 1],
    ['??', '!'.repeat(17), 1],
    ['??', '!!', 0],
  ] as const) {
    arm(question, head, 'a', size);
    expect(await told(question)).toBe(`${question} own false 0`);
  }
  expect(String((await greeted)[0])).toBe('hello');
  await Promise.all([socket.close(), closeUdp(asker), closeUdp(stranger)]);
  expect(socket.answers!()).toEqual({ count: 0, msAgo: 0 });
});

udpContract('native sockets', (options) => openNative(options)!);
udpContract("Node's sockets", openPlain);
