/** Which key of enrolment a node without a definition uses, and which files it takes none from. */
import { beforeEach, expect, test } from 'vitest';
import { type KeyPlaces, secretOf } from '../../agent/linux/secret.ts';
import { ENROLMENT_KEY, ENROLMENT_KEY_FILE } from '../../agent/protocol/enrolment.ts';
import { QuietHost } from '../fakes/quiet-host.ts';

const SYSTEM: KeyPlaces = { local: '--state /state', enrolmentKey: undefined };

let files: Map<string, { text: string; mode: number }>;
let host: QuietHost;
beforeEach(() => {
  files = new Map();
  host = new QuietHost();
  host.exists = (path) => files.has(path);
  host.readFile = (path) => new TextEncoder().encode(files.get(path)!.text);
  host.mode = (path) => files.get(path)!.mode;
});

function keyFile(path: string, byte: string, mode: number): void {
  files.set(path, { text: `${byte.repeat(32)}\n`, mode });
}

test('the one that was named, else that in /etc, else the one that everybody knows', () => {
  expect(secretOf(host, undefined, SYSTEM).key).toEqual(ENROLMENT_KEY);
  keyFile(ENROLMENT_KEY_FILE, '0a', 0o600);
  keyFile('/root/key', '0b', 0o640);
  expect(secretOf(host, undefined, SYSTEM).key).toEqual(new Uint8Array(32).fill(0x0a));
  const named = { ...SYSTEM, enrolmentKey: '/root/key' };
  expect(secretOf(host, undefined, named).key).toEqual(new Uint8Array(32).fill(0x0b));
  files.delete('/root/key');
  expect(() => secretOf(host, undefined, named)).toThrow('there is no file /root/key');
});

test.each(['644', '602'])('none of a file with mode %s, unless nobody else is in the system', (mode) => {
  keyFile(ENROLMENT_KEY_FILE, '0a', Number.parseInt(mode, 8));
  expect(() => secretOf(host, undefined, SYSTEM)).toThrow(
    `every user may read or write ${ENROLMENT_KEY_FILE} (mode ${mode}): chmod 600 ${ENROLMENT_KEY_FILE}`,
  );
  expect(secretOf(host, undefined).key).toEqual(new Uint8Array(32).fill(0x0a));
});

test('what is in a file that holds no key is not said', () => {
  files.set(ENROLMENT_KEY_FILE, { text: 'ab'.repeat(33), mode: 0o600 });
  for (const places of [SYSTEM, undefined]) {
    expect(() => secretOf(host, undefined, places)).toThrow(/holds no key of 64 hexadecimal digits/);
    expect(() => secretOf(host, undefined, places)).not.toThrow(/abab/);
  }
});
