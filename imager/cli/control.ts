/** Calls of an imager: HTTP on its control socket. */
import { type IncomingMessage, request } from 'node:http';
import { NotReachableError } from './failure.ts';

/**
 * Milliseconds a call goes without an answer before the imager is asked whether it answers at all, and that it has for this: one that
 * is at work, however long that takes, does so at once.
 */
const PATIENCE_MS = 15_000;

/**
 * Calls; gives the answer once it begins. Throws the error of the socket; then, and from the answer while it lasts,
 * NotReachableError where the imager answers nothing any more.
 */
export function open(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
  patienceMs = PATIENCE_MS,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ socketPath, method, path, headers, agent: false });
    let answer: IncomingMessage | undefined;
    sent.once('response', (response) => {
      answer = response;
      resolve(response);
    });
    const doubt = setInterval(async () => {
      if (await answers(socketPath, patienceMs)) return;
      (answer ?? sent).destroy(hangs(socketPath, 2 * patienceMs, method !== 'GET'));
    }, patienceMs);
    sent.once('close', () => clearInterval(doubt));
    sent.once('error', reject);
    sent.end(body);
  });
}

/** Calls; gives the whole answer. Throws like open(). */
export async function exchange(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  const response = await open(socketPath, method, path, body);
  return { status: response.statusCode ?? 0, text: await collect(response) };
}

export async function collect(response: IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += chunk;
  return text;
}

/** It says how it is, whatever that is, within `limitMs`. */
function answers(socketPath: string, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ socketPath, path: '/health', agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    sent.setTimeout(limitMs, () => {
      resolve(false);
      sent.destroy();
    });
    sent.once('error', () => resolve(false));
    sent.end();
  });
}

function hangs(socketPath: string, ms: number, change: boolean): NotReachableError {
  const unknown = change ? '; whether it does what was asked is not known' : '';
  return new NotReachableError(
    `the imager behind ${socketPath} answers nothing for ${Math.round(ms / 1000)} s, not even how it is: ` +
      `it hangs, or was stopped${unknown}`,
  );
}
