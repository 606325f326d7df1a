/** What QuickJS lacks of the globals our code and cbor-x use. Injected before the bundle's first module. */
import * as bw from 'bw';
import { HostError } from '../linux/host.ts';
import { startTimer, stopTimer, turn } from './loop.ts';
import { decodeLossy } from './utf8.ts';

bw.setErrorClass(HostError);
bw.setLoop(turn);

class Utf8Encoder {
  readonly encoding = 'utf-8';
  encode(text = ''): Uint8Array {
    return new Uint8Array(bw.encodeUtf8(text));
  }
}

class Utf8Decoder {
  readonly encoding = 'utf-8';
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  constructor(label = 'utf-8', options: { fatal?: boolean; ignoreBOM?: boolean } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError(`TextDecoder: only utf-8, not ${label}`);
    this.fatal = options.fatal ?? false;
    this.ignoreBOM = options.ignoreBOM ?? false;
  }
  decode(input: ArrayBuffer | ArrayBufferView = new Uint8Array(0)): string {
    const bytes =
      input instanceof ArrayBuffer
        ? new Uint8Array(input)
        : new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    const text = bw.decodeUtf8(bytes);
    if (text === undefined && this.fatal) throw new TypeError('TextDecoder: not UTF-8');
    const decoded = text ?? decodeLossy(bytes);
    return this.ignoreBOM || !decoded.startsWith('\ufeff') ? decoded : decoded.slice(1);
  }
}

function say(...values: unknown[]): void {
  bw.print(values.map((value) => (typeof value === 'string' ? value : String(value))).join(' '));
}

/** Adds what is missing, not enumerable, as the language's own are. */
function provide(target: object, members: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(members))
    if (!(name in target))
      Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
}

provide(globalThis, {
  TextEncoder: Utf8Encoder,
  TextDecoder: Utf8Decoder,
  setTimeout: (callback: (...values: unknown[]) => void, milliseconds = 0, ...values: unknown[]) =>
    startTimer(() => callback(...values), milliseconds),
  clearTimeout: (id?: number) => id !== undefined && stopTimer(id),
  queueMicrotask: (callback: () => void) => void Promise.resolve().then(callback),
  performance: { now: () => bw.uptime() * 1000 },
  console: { log: say, info: say, warn: say, error: say, debug: say },
});
