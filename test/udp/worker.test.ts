/** Native sockets in a thread of their own, which ends while they are open and the loop stays awake for them. */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

const PROGRAM = `
  const addon = require(${JSON.stringify(resolve('dist/imager/udp/udp.node'))});
  const asker = require('node:dgram').createSocket('udp4');
  const socket = addon.open('127.0.0.1', 0, false, false, 0, () => {}, '');
  asker.bind(0, '127.0.0.1', () => {
    const question = Buffer.from('??');
    const ask = () => asker.send(question, addon.port(socket), '127.0.0.1');
    addon.expect(socket, question, question, Buffer.alloc(40), 1, asker.address().port, '127.0.0.1');
    let answers = 0;
    asker.on('message', () => {
      question[1]++;
      if (++answers === 20) process.exit(answers);
      ask();
    });
    ask();
  });
`;

test('a thread with open sockets that have just answered ends', async () => {
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(PROGRAM, { eval: true });
    expect(await new Promise((done, fail) => worker.once('exit', done).once('error', fail))).toBe(20);
  }
});
