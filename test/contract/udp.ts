/** What every implementation of UdpSocket does, tried against Node's own sockets. */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { UdpOptions, UdpSocket } from '../../imager/udp/socket.ts';
import { bindUdp, closeUdp } from '../support/udp.ts';

interface Received {
  bytes: Uint8Array;
  address: string;
  port: number;
}

export function udpContract(name: string, open: (options: UdpOptions) => Promise<UdpSocket>): void {
  describe(name, () => {
    const sockets: UdpSocket[] = [];
    const peers: Socket[] = [];
    afterEach(async () => {
      await Promise.all([
        ...sockets.splice(0).map((socket) => socket.close()),
        ...peers.splice(0).map(closeUdp),
      ]);
    });
    const opened = async (options: Partial<UdpOptions> = {}) => {
      const socket = await open({ address: '127.0.0.1', port: 0, ...options });
      sockets.push(socket);
      return socket;
    };
    const peer = async (address = '127.0.0.1', port = 0) => {
      const socket = await bindUdp(address, port);
      peers.push(socket);
      return socket;
    };
    /** What `socket` receives, in order; `next` resolves with the next of it. */
    const inbox = (socket: UdpSocket) => {
      const arrived: Received[] = [];
      const failures: NodeJS.ErrnoException[] = [];
      let wake = () => {};
      socket.listen({
        receive: (bytes, address, port) => {
          arrived.push({ bytes: Uint8Array.from(bytes), address, port });
          wake();
        },
        failed: (error) => {
          failures.push(error);
          wake();
        },
      });
      const until = async (ready: () => boolean) => {
        while (!ready())
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      };
      return { arrived, failures, until };
    };

    test('datagrams arrive whole, in order, with their sender, the empty and the longest too', async () => {
      const socket = await opened({ receiveBuffer: 1024 * 1024 });
      const sender = await peer();
      const { arrived, until } = inbox(socket);
      const sent = [0, 1, 1472, 65507].map((length, index) => Buffer.alloc(length, index + 1));
      for (const bytes of sent) sender.send(bytes, socket.port, '127.0.0.1');
      await until(() => arrived.length === sent.length);
      expect(arrived.map(({ bytes }, index) => Buffer.compare(bytes, sent[index]!))).toEqual([0, 0, 0, 0]);
      expect(new Set(arrived.map(({ address, port }) => `${address} ${port}`))).toEqual(
        new Set([`127.0.0.1 ${sender.address().port}`]),
      );
    });

    test('many at once, more than one batch', async () => {
      const socket = await opened({ receiveBuffer: 4 * 1024 * 1024 });
      const sender = await peer();
      const { arrived, until } = inbox(socket);
      for (let index = 0; index < 100; index++) {
        const bytes = Buffer.alloc(4);
        bytes.writeUInt32BE(index);
        sender.send(bytes, socket.port, '127.0.0.1');
      }
      await until(() => arrived.length === 100);
      expect(arrived.map(({ bytes }) => Buffer.from(bytes).readUInt32BE())).toEqual(
        Array.from({ length: 100 }, (_, index) => index),
      );
    });

    test('what is sent leaves from the port, and the bytes may be reused once nothing is being sent', async () => {
      const socket = await opened();
      const receiver = await peer();
      const message = once(receiver, 'message');
      const bytes = Buffer.from('one');
      socket.send(bytes, receiver.address().port, '127.0.0.1');
      if (!socket.sending) bytes.fill(0);
      const [got, from] = (await message) as [Buffer, { port: number }];
      expect(got.toString()).toBe('one');
      expect(from.port).toBe(socket.port);
    });

    test('each datagram goes where it is to, whatever the last one went to', async () => {
      const socket = await opened();
      const { failures, until } = inbox(socket);
      const here = await peer();
      const { port } = here.address();
      const receivers = [here, await peer(), await peer('127.0.0.2', port)];
      const order = [0, 0, 1, 1, 0, 2, 2, 0, 9, 9, 0];
      const got: string[] = [];
      const all = new Promise<void>((resolve) => {
        for (const [index, receiver] of receivers.entries())
          receiver.on('message', (bytes) => {
            got.push(`${index} ${bytes}`);
            if (got.length === 9) resolve();
          });
      });
      for (const [at, index] of order.entries()) {
        const to = receivers[index]?.address() ?? { port, address: '255.255.255.255' };
        socket.send(Buffer.from(`${at}`), to.port, to.address);
      }
      await all;
      await until(() => failures.length === 2);
      expect(got.sort()).toEqual(
        order.flatMap((index, at) => (index === 9 ? [] : [`${index} ${at}`])).sort(),
      );
    });

    test('numbered questions are answered once each, by the socket or its listener', async () => {
      const socket = await opened();
      const asker = await peer();
      const { port } = asker.address();
      const numbered = (text: string, number: number) => {
        const bytes = Buffer.from(`${text}  `);
        bytes.writeUInt16BE(number & 0xffff, text.length);
        return bytes;
      };
      const bodies = Buffer.from('aaabbbcccdddeeefffg');
      const bodyOf = (number: number) => bodies.subarray(3 * (number - FIRST), 3 * (number - FIRST) + 3);
      // Past the end of the numbers.
      const FIRST = 0xfffd;
      const expectFrom = (number: number) => {
        const [question, head] = [numbered('q', number), numbered('a', number)];
        const rest = bodies.subarray(3 * (number - FIRST));
        socket.expect?.({ question, head, bodies: rest, size: 3 }, port, '127.0.0.1');
        question.fill('x');
        head.fill('x');
      };
      let answered = 0;
      socket.listen({
        receive: (_bytes, _address, _port, itself, before) => {
          answered += before;
          if (!itself)
            socket.send(
              Buffer.concat([numbered('a', FIRST + answered), bodyOf(FIRST + answered)]),
              port,
              '127.0.0.1',
            );
          answered++;
          if (answered < 7) expectFrom(FIRST + answered);
        },
        failed: () => {},
      });
      expectFrom(FIRST);
      for (let number = FIRST; number < FIRST + 7; number++) {
        asker.send(numbered('q', number), socket.port, '127.0.0.1');
        const [bytes] = (await once(asker, 'message')) as [Buffer];
        expect(bytes).toEqual(Buffer.concat([numbered('a', number), bodyOf(number)]));
      }
      expect(answered + (socket.answers?.().count ?? 0)).toBe(7);
    });

    test('IPv6', async () => {
      const socket = await opened({ address: '::1' });
      const sender = await peer('::1');
      const { arrived, until } = inbox(socket);
      sender.send('six', socket.port, '::1');
      await until(() => arrived.length === 1);
      expect(arrived[0]).toMatchObject({ address: '::1', port: sender.address().port });
      const message = once(sender, 'message');
      socket.send(Buffer.from('answer'), sender.address().port, '::1');
      expect(String((await message)[0])).toBe('answer');
    });

    test('a port that is taken, an address nobody has', async () => {
      const { port } = await opened();
      await expect(open({ address: '127.0.0.1', port })).rejects.toMatchObject({
        code: 'EADDRINUSE',
        address: '127.0.0.1',
        port,
      });
      await expect(open({ address: '192.0.2.1', port: 0 })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    });

    test('two may share a port where both ask for it', async () => {
      const { port } = await opened({ reuseAddress: true });
      await expect(opened({ reuseAddress: true, port })).resolves.toMatchObject({ port });
    });

    test('what cannot be sent is told: broadcast without leave, nothing listens is not', async () => {
      const socket = await opened();
      const { failures, until } = inbox(socket);
      socket.send(Buffer.from('x'), 9, '255.255.255.255');
      await until(() => failures.length > 0);
      expect(failures[0]).toMatchObject({ code: 'EACCES' });
    });

    test('closing from within a call ends what is handed over; the port is free at once, sends have no effect', async () => {
      const socket = await opened();
      const sender = await peer();
      let calls = 0;
      let closed: Promise<void> | undefined;
      const first = new Promise<void>((resolve) =>
        socket.listen({
          receive: () => {
            calls++;
            closed ??= socket.close();
            resolve();
          },
          failed: () => {},
        }),
      );
      for (let index = 0; index < 10; index++) sender.send('x', socket.port, '127.0.0.1');
      await first;
      await closed;
      expect(calls).toBe(1);
      socket.send(Buffer.from('late'), sender.address().port, '127.0.0.1');
      await expect(opened({ port: socket.port })).resolves.toBeDefined();
      await socket.close();
    });
  });
}
