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

test('a native socket answers the next datagram if it is what is expected, from whom it is', async () => {
  const socket = await openNative({ address: '127.0.0.1', port: 0 })!;
  const [asker, stranger] = [await bindUdp('127.0.0.1', 0), await bindUdp('127.0.0.1', 0)];
  const [own, other] = [asker.address().port, stranger.address().port];
  const got: string[] = [];
  const all = new Promise<void>((resolve) =>
    asker.on('message', (bytes) => {
      got.push(String(bytes));
      if (String(bytes) === 'end') resolve();
    }),
  );
  const greeted = once(stranger, 'message');
  const ask = (bytes: string, from = asker) => {
    const heard = new Promise<string>((resolve) =>
      socket.listen({
        receive: (bytes, _address, port, answered) =>
          resolve(`${bytes} ${port === own ? 'own' : 'other'} ${answered}`),
        failed: () => {},
      }),
    );
    from.send(bytes, socket.port, '127.0.0.1');
    return heard;
  };
  const arm = (question: string, answer: string) =>
    socket.expect?.(Buffer.from(question), Buffer.from(answer), own, '127.0.0.1');
  expect(await ask('early')).toBe('early own false');
  arm('first', 'no');
  arm('question', 'yes');
  // What is sent to others meanwhile changes nothing.
  socket.send(Buffer.from('hello'), other, '127.0.0.1');
  expect(await ask('question')).toBe('question own true');
  expect(await ask('question')).toBe('question own false');
  for (const [bytes, from] of [['first'], ['questions'], ['quest'], [''], ['question', stranger]] as const) {
    arm('question', 'no');
    expect(await ask(bytes, from)).toBe(`${bytes} ${from === stranger ? 'other' : 'own'} false`);
    expect(await ask('question')).toBe('question own false');
  }
  arm('a question too long', 'no');
  expect(await ask('a question too long')).toBe('a question too long own false');
  arm('q', 'x'.repeat(60_000));
  expect(await ask('q')).toBe('q own true');
  arm('q', 'end');
  expect(await ask('q')).toBe('q own true');
  await all;
  expect(got).toEqual(['yes', 'x'.repeat(60_000), 'end']);
  expect(String((await greeted)[0])).toBe('hello');
  await Promise.all([socket.close(), closeUdp(asker), closeUdp(stranger)]);
});

udpContract('native sockets', (options) => openNative(options)!);
udpContract("Node's sockets", openPlain);
