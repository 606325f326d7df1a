import { describe, expect, test } from 'vitest';
import { otherProcessor } from '../../imager/images/processor.ts';

describe('what a node with a processor cannot run', () => {
  const of = (arch: string) => [
    { kind: 'memory' as const, key: 'm', fields: { arch: 'aarch64' } },
    { kind: 'processor' as const, key: 'package 0', fields: { model: 'a', arch } },
  ];
  test.each([
    ['x86_64', 'arm64'],
    ['amd64', 'arm64'],
    ['i386', 'arm64'],
    ['i686', 'arm64'],
    ['aarch64', 'amd64'],
    ['arm64', 'amd64'],
    ['armv7l', 'amd64'],
  ] as const)('%s: an image for %s alone', (own, other) => {
    expect(otherProcessor(other, of(own))).toBe(own);
    expect(otherProcessor(other === 'arm64' ? 'amd64' : 'arm64', of(own))).toBeUndefined();
  });

  test.each([
    ['nothing told', []],
    ['no architecture told', [{ kind: 'processor' as const, key: 'package 0', fields: { model: 'a' } }]],
    ['one that is not known', of('riscv64')],
    ['one that only begins as a known one', of('aarch64_be')],
  ])('%s: nothing is kept from it', (_, resources) => {
    for (const arch of ['arm64', 'amd64'] as const) expect(otherProcessor(arch, resources)).toBeUndefined();
  });
});
