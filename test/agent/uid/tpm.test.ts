/** The endorsement key of a TPM, of swtpm: the same key that tpm2-tools make by the TCG's template, wherever it is kept. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { HostError } from '../../../agent/linux/host.ts';
import { tpmEndorsementKey } from '../../../agent/linux/uid/tpm.ts';
import { createPrimaryCommand, ECC_TEMPLATE, RSA_TEMPLATE } from '../../../agent/linux/uid/tpm-codec.ts';
import { readUid } from '../../../agent/linux/uid.ts';
import { FilesHost } from '../../fakes/files-host.ts';
import { askTpm, type SoftTpm, startTpm, tpmTool } from '../../support/swtpm.ts';

let folder: string;
let tpm: SoftTpm;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootwright-tpm-'));
  tpm = await startTpm(folder, 'commands');
});
afterEach(async () => {
  await tpm.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A host with one TPM, which answers with what `answer` gives. */
class TpmHost extends FilesHost {
  readonly asked: string[] = [];
  readonly #answer: (command: Uint8Array) => Uint8Array;

  constructor(answer: (command: Uint8Array) => Uint8Array, device = '/dev/tpm0') {
    super({ [device]: '' });
    this.#answer = answer;
  }

  override transact(path: string, request: Uint8Array): Uint8Array {
    this.asked.push(`${path} ${CALLS[Buffer.from(request).readUInt32BE(6)]}`);
    return this.#answer(request);
  }
}

const CALLS: Record<number, string> = { 371: 'read', 305: 'create', 357: 'flush' };
const HANDLE = '0x81010001';
const file = (name: string) => join(folder, name);
const tool = (...argv: [string, ...string[]]) => tpmTool(tpm, argv);
const read = (host = new TpmHost((command) => askTpm(tpm, command))) => tpmEndorsementKey.read(host);

/** The name tpm2-tools know the key by: the algorithm, then the digest. */
function nameOf(object: string): string {
  return /^name: 000b([0-9a-f]{64})$/m.exec(tool('tpm2_readpublic', '-c', object))![1]!;
}

it('is the key that tpm2-tools make, and nothing is left in the TPM', () => {
  const host = new TpmHost((command) => askTpm(tpm, command));
  const found = read(host);
  expect(host.asked.map((each) => each.split(' ')[1])).toEqual(['read', 'create', 'flush']);
  expect(tool('tpm2_getcap', 'handles-transient').trim()).toBe('');
  tool('tpm2_createek', '-G', 'rsa', '-c', file('ek'));
  expect(found).toEqual({ uid: `tpm:${nameOf(file('ek'))}` });
  tool('tpm2_flushcontext', '-t');
  expect(read()).toEqual(found);
  // The kernel's manager forgets what it has loaded for us by itself, and refuses to flush it.
  const managed = new TpmHost((command) => askTpm(tpm, command), '/dev/tpmrm0');
  expect(read(managed)).toEqual(found);
  expect(managed.asked).toEqual(['/dev/tpmrm0 read', '/dev/tpmrm0 create']);
});

it('is the same where it is kept at its handle, which saves making it', () => {
  const before = read();
  tool('tpm2_createek', '-G', 'rsa', '-c', HANDLE);
  const host = new TpmHost((command) => askTpm(tpm, command));
  expect(read(host)).toEqual(before);
  expect(host.asked).toEqual(['/dev/tpm0 read']);
  // Other keys at that handle are not it.
  tool('tpm2_evictcontrol', '-C', 'o', '-c', HANDLE);
  for (const algorithm of ['rsa', 'ecc']) {
    tool('tpm2_createprimary', '-C', 'o', '-G', algorithm, '-c', file('other'));
    tool('tpm2_evictcontrol', '-C', 'o', '-c', file('other'), HANDLE);
    tool('tpm2_flushcontext', '-t');
    expect(read()).toEqual(before);
    tool('tpm2_evictcontrol', '-C', 'o', '-c', HANDLE);
  }
});

it('is another where the seed is another, and stays when the TPM is cleared', () => {
  const before = read();
  tool('tpm2_clear', '-c', 'p');
  expect(read()).toEqual(before);
  tool('tpm2_changeeps');
  expect(read()).toMatchObject({ uid: expect.stringMatching(/^tpm:[0-9a-f]{64}$/) });
  expect(read()).not.toEqual(before);
});

it('is refused where the endorsement hierarchy has a password, unless the key is kept', () => {
  const before = read();
  tool('tpm2_createek', '-G', 'rsa', '-c', HANDLE);
  tool('tpm2_changeauth', '-c', 'e', 'secret');
  expect(read()).toEqual(before);
  tool('tpm2_evictcontrol', '-C', 'o', '-c', HANDLE);
  // TPM_RC_BAD_AUTH of the first session.
  expect(read()).toEqual({ why: '/dev/tpm0: the TPM answers with error 0x9a2' });
});

it('is the ECC key where the TPM knows no RSA', () => {
  const rsa = Buffer.from(createPrimaryCommand(RSA_TEMPLATE));
  // TPM_RC_ASYMMETRIC, of the second parameter.
  const host = new TpmHost((command) => (rsa.equals(command) ? refusal(0x2c1) : askTpm(tpm, command)));
  const found = read(host);
  tool('tpm2_createek', '-G', 'ecc', '-c', file('ek'));
  expect(found).toEqual({ uid: `tpm:${nameOf(file('ek'))}` });
  expect(read(new TpmHost((command) => (isCreate(command) ? refusal(0x2c1) : askTpm(tpm, command))))).toEqual(
    {
      why: 'it knows no RSA, no ECC',
    },
  );
});

it('the templates are those of the TCG EK Credential Profile, to the byte', () => {
  const policy = '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa';
  // Header, endorsement hierarchy, a password session without a password, no secrets; then the template; no outside
  // information, no PCRs.
  const command = (area: string) =>
    [
      `8002${size(4, 41 + area.length / 2)}000001314000000b00000009400000090000000000`,
      `000400000000${size(2, area.length / 2)}${area}000000000000`,
    ].join('');
  const size = (bytes: number, value: number) => value.toString(16).padStart(2 * bytes, '0');
  // Type, name algorithm, attributes, policy; AES 128 CFB, no scheme; 2048 bits and exponent, or P-256 and no KDF; zeroes.
  const rsa = `0001000b000300b20020${policy}0006008000430010080000000000${'0100'}${'00'.repeat(256)}`;
  const point = `0020${'00'.repeat(32)}`;
  const ecc = `0023000b000300b20020${policy}000600800043001000030010${point}${point}`;
  expect(Buffer.from(createPrimaryCommand(RSA_TEMPLATE)).toString('hex')).toBe(command(rsa));
  expect(Buffer.from(createPrimaryCommand(ECC_TEMPLATE)).toString('hex')).toBe(command(ecc));
});

it('a bent answer is no UID and no crash', () => {
  const kept = new Map<string, Uint8Array>();
  read(
    new TpmHost((command) => {
      const answer = askTpm(tpm, command);
      kept.set(Buffer.from(command).toString('hex'), answer);
      return answer;
    }),
  );
  const whole = (command: Uint8Array) => Buffer.from(kept.get(Buffer.from(command).toString('hex')) ?? []);
  fc.assert(
    fc.property(fc.nat(600), fc.nat(255), fc.nat(600), (at, byte, length) => {
      const bent = new TpmHost((command) => {
        const answer = whole(command);
        if (at < answer.length) answer[at] = byte;
        return length % 3 === 0 ? answer.subarray(0, length) : answer;
      });
      const found = readOrFault(bent);
      if ('uid' in found) expect(found.uid).toMatch(/^tpm:[0-9a-f]{64}$/);
      else expect(found.why).toMatch(/\w/);
    }),
    { numRuns: 500 },
  );
  expect(read(new TpmHost(() => Buffer.from('00c40000000a00000026', 'hex')))).toEqual({
    why: '/dev/tpm0: it answers with tag 0xc4: no TPM 2.0',
  });
});

it.each([
  ['TPM_RC_INITIALIZE', 0x100],
  ['TPM_RC_FAILURE', 0x101],
  ['TPM_RC_CONTEXT_GAP', 0x901],
  ['TPM_RC_TESTING', 0x90a],
  ['TPM_RC_RETRY', 0x922],
])('%s is no word on the key: it could not be read', (_name, code) => {
  const why = `/dev/tpm0: the TPM answers with error 0x${code.toString(16)}`;
  expect(() => read(new TpmHost(() => refusal(code)))).toThrow(new HostError('EIO', why));
  const busyLater = (command: Uint8Array) => (isCreate(command) ? refusal(code) : askTpm(tpm, command));
  expect(() => read(new TpmHost(busyLater))).toThrow(why);
  expect(() => readUid(new TpmHost(busyLater))).toThrow(`tpm cannot be read (${why})`);
});

function readOrFault(host: TpmHost): ReturnType<typeof read> {
  try {
    return read(host);
  } catch (error) {
    if (error instanceof HostError) return { why: error.message };
    throw error;
  }
}

function isCreate(command: Uint8Array): boolean {
  return Buffer.from(command).readUInt32BE(6) === 0x131;
}

function refusal(code: number): Uint8Array {
  return Buffer.from(`80010000000a${code.toString(16).padStart(8, '0')}`, 'hex');
}
