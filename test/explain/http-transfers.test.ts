/** HTTP as a capture shows it, packet by packet. */
import { expect, test } from 'vitest';
import { HttpTransfers } from '../../imager/explain/http-transfers.ts';
import type { Transfer } from '../../imager/explain/observation.ts';
import type { TcpPacket } from '../../imager/explain/packet.ts';

const CLIENT = { from: '10.0.0.11', sourcePort: 40_000, to: '10.0.0.1', port: 80 };
const SERVER = { from: '10.0.0.1', sourcePort: 80, to: '10.0.0.11', port: 40_000 };

/** One connection: `>` is what the client sends, `<` what the server does, `=` an acknowledgement alone. */
function connection(...said: string[]): Partial<Transfer>[] {
  const transfers = new HttpTransfers();
  const sequence = { '>': 1000, '<': 2 ** 32 - 20 };
  let frame = 0;
  const take = (by: '>' | '<', text: string, flags: Partial<TcpPacket> = {}) => {
    frame++;
    transfers.take({
      ...{ kind: 'tcp', frame, at: frame * 10, mac: '52:54:00:00:00:01', ...(by === '>' ? CLIENT : SERVER) },
      ...{ syn: false, ack: true, reset: false, fin: false },
      sequence: sequence[by] >>> 0,
      acknowledged: sequence[by === '>' ? '<' : '>'] >>> 0,
      payload: new TextEncoder().encode(text),
      ...flags,
    });
    sequence[by] += text.length;
  };
  take('>', '', { syn: true, ack: false });
  take('<', '', { syn: true });
  for (const each of said) {
    const [by, text] = [each[0], each.slice(1)];
    if (by === '>' || by === '<') take(by, text.replaceAll('\n', '\r\n'));
    if (by === '=') take('>', '');
    if (by === '!') {
      // The request before, sent once more.
      sequence['>'] -= text.length + 2;
      take('>', text.replaceAll('\n', '\r\n'));
    }
  }
  return transfers.all().map(({ transfer: { file, end, bytes, size, requests, reason } }) => ({
    ...{ file, end, bytes, requests },
    ...(size === undefined ? {} : { size }),
    ...(reason === undefined ? {} : { reason }),
  }));
}

const whole = { file: '/a', end: 'done', bytes: 5, size: 5, requests: 1 };

test('a size asked for first is a question of its own, not half a transfer', () => {
  const answer = 'HTTP/1.1 200 OK\nContent-Length: 5\n\n';
  expect(
    connection('>HEAD /a HTTP/1.1\n\n', `<${answer}`, '>GET /a HTTP/1.1\n\n', `<${answer}hello`, '='),
  ).toEqual([{ ...whole, end: 'declined', bytes: 0, reason: 'asked for its size alone' }, whole]);
  expect(connection('>HEAD /a HTTP/1.1\n\n', '<HTTP/1.1 404 Not Found\n\n')).toMatchObject([
    { file: '/a', end: 'refused', reason: 'Not Found' },
  ]);
});

test('the same file twice on one connection; the next request acknowledges what was before', () => {
  const answer = '<HTTP/1.1 200 OK\nContent-Length: 5\n\nhello';
  const get = '>GET /a HTTP/1.1\n\n';
  expect(connection(get, answer, get, answer, '=')).toEqual([whole, whole]);
});

test('a request that TCP sends again is one request', () => {
  const get = 'GET /a HTTP/1.1\n\n';
  const answer = '<HTTP/1.1 200 OK\nContent-Length: 5\n\nhello';
  expect(connection(`>${get}`, `!${get}`, answer, `!${get}`, '=')).toEqual([{ ...whole, requests: 2 }]);
});

test('an answer in chunks ends with the last of them', () => {
  const head = '<HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n';
  const found = connection('>GET /a HTTP/1.1\n\n', head, '<5\nhello\n', '=', '<0\n\n');
  expect(found).toMatchObject([{ file: '/a', end: 'done' }]);
  expect(connection('>GET /a HTTP/1.1\n\n', head, '<5\nhello\n', '=')).toMatchObject([{ end: 'open' }]);
  expect(connection('>GET /a HTTP/1.1\n\n', `${head}2\nhi\n0\n\n`)).toMatchObject([{ end: 'done' }]);
});

test('a part is not the whole, and what the client has already is no failure', () => {
  const part = 'HTTP/1.1 206 Partial Content\nContent-Range: bytes 0-4/900\nContent-Length: 5\n\nhello';
  expect(connection('>GET /a HTTP/1.1\nRange: bytes=0-4\n\n', `<${part}`, '=')).toEqual([
    { ...whole, end: 'declined', reason: 'asked for 5 of 900 bytes' },
  ]);
  expect(connection('>GET /a HTTP/1.1\n\n', '<HTTP/1.1 304 Not Modified\n\n')).toEqual([
    { file: '/a', end: 'declined', bytes: 0, requests: 1, reason: 'it has the file already' },
  ]);
});

test('what a server says is wrong is told in its words', () => {
  const head = 'HTTP/1.1 404 Not Found\nContent-Type: application/json\n\n';
  const get = '>GET /a HTTP/1.1\n\n';
  expect(connection(get, `<${head}{"error":"no \\"a\\" here"}`)).toMatchObject([{ reason: 'no "a" here' }]);
  expect(connection(get, `<${head}{"error":"cut \\u00"}`)).toMatchObject([{ reason: 'Not Found' }]);
});
