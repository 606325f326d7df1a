/** Calls of an imager: HTTP on its control socket. */
import { type IncomingMessage, request } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { NotReachableError } from './failure.ts';

/**
 * Milliseconds a call goes without an answer before the imager is asked how it is, to which it has twice as long: one that is at work,
 * however long that takes, answers at once.
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
    const over = new AbortController();
    sent.once('close', () => over.abort());
    sent.once('error', reject);
    sent.end(body);
    void hangs(socketPath, patienceMs, over.signal).then((forMs) => {
      if (forMs !== undefined) (answer ?? sent).destroy(hangFault(socketPath, forMs, method !== 'GET'));
    });
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

/** Resolves once the imager hangs, to the milliseconds it has for now; to undefined once the call is over. */
async function hangs(socketPath: string, patienceMs: number, over: AbortSignal): Promise<number | undefined> {
  const limitMs = 2 * patienceMs;
  try {
    do await setTimeout(patienceMs, undefined, { signal: over });
    while (await answers(socketPath, limitMs, over));
  } catch {
    return undefined;
  }
  return over.aborted ? undefined : patienceMs + limitMs;
}

/**
 * False where nothing comes for `limitMs`, or as many as may wait do so already. Who is not there any more is no matter: the call is told
 * of that itself.
 */
function answers(socketPath: string, limitMs: number, over: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ socketPath, path: '/health', agent: false, signal: over }, (response) => {
      response.resume();
      resolve(true);
    });
    sent.setTimeout(limitMs, () => {
      resolve(false);
      sent.destroy();
    });
    sent.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EAGAIN'));
    sent.end();
  });
}

function hangFault(socketPath: string, ms: number, change: boolean): NotReachableError {
  const unknown = change ? '; whether it does what was asked is not known' : '';
  return new NotReachableError(
    `the imager behind ${socketPath} answers nothing for ${Math.round(ms / 1000)} s, not even how it is: ` +
      `it hangs, or was stopped${unknown}`,
  );
}
