import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escaped, type Format, formatOf, quoted, quotedWords } from '../../imager/menus/format.ts';

test.each([
  ['boot.ipxe', 'ipxe'],
  ['pxelinux.cfg/0A', 'pxelinux'],
  ['extlinux/extlinux.conf', 'pxelinux'],
  ['grub/grub.cfg', 'shell'],
  ['grub/grub.cfg-0A', 'shell'],
  ['hooks/late.sh', 'shell'],
  ['boot.scr.uimg', 'uboot'],
  ['node.json', 'json'],
  ['config.txt', 'text'],
] satisfies [string, Format][])('%s is %s', (path, format) => {
  expect(formatOf(path)).toBe(format);
});

describe.each(['ipxe', 'pxelinux', 'uboot', 'shell', 'text'] satisfies Format[])('%s', (format) => {
  const accepted = (value: string) => {
    try {
      return escaped(value, format);
    } catch {
      return undefined;
    }
  };

  test('a value stays on its line', () => {
    expect(() => escaped('a\nb', format)).toThrow('the value contains a newline (character 2)');
    expect(() => escaped('a\rb', format)).toThrow('a carriage return');
    expect(() => escaped('a\0b', format)).toThrow('U+0000');
  });

  test('nothing, sections and lists are no values', () => {
    expect(() => escaped(null, format)).toThrow('no value here');
    expect(() => escaped(undefined, format)).toThrow('no value here');
    expect(() => escaped({ a: 1 }, format)).toThrow('not a value');
    expect(() => escaped(['a'], format)).toThrow('not a value');
    expect(() => escaped('x'.repeat(20_000), format)).toThrow('at most 16384');
    expect(escaped(5, format)).toBe('5');
    expect(escaped('', format)).toBe('');
  });

  test('what is taken is taken as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (value) => {
        expect([undefined, value]).toContain(accepted(value));
      }),
    );
  });

  test('kernel arguments and names are taken', () => {
    for (const value of [
      'console=ttyS0,115200 root=/dev/nbd0',
      'node-1.lab',
      'ip=10.0.0.1::10.0.0.2:255.0.0.0',
    ])
      expect(accepted(value)).toBe(value);
  });
});

test.each(['ipxe', 'pxelinux', 'uboot', 'shell'] satisfies Format[])(
  '%s refuses what its firmware expands',
  (format) => {
    for (const value of ['$x', '$(x)', 'a;b', '"', "'", '`', '\\', 'x || shell', 'x && y', 'x #y', 'ü'])
      expect(() => escaped(value, format)).toThrow('would take for itself');
  },
);

test('JSON escapes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(JSON.parse(`"${escaped(value, 'json')}"`)).toBe(value);
    }),
  );
});

test('a shell reads quoted values back as they were', () => {
  const values = fc.sample(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 }), 200);
  const words = fc.sample(fc.array(fc.string({ unit: 'grapheme-ascii' }), { maxLength: 5 }), 200);
  const script = [
    ...values.map((value) => `printf '%s\\n' ${quoted(value)}`),
    ...words.map((list) => `printf '%s ' ${quotedWords(list.join(' '))}; echo`),
  ];
  const lines = execFileSync('sh', ['-c', script.join('\n')], { encoding: 'utf8' }).split('\n');
  expect(lines.slice(0, 200)).toEqual(values);
  const squeezed = (text: string) =>
    text
      .split(' ')
      .filter((word) => word !== '')
      .join(' ');
  expect(lines.slice(200, 400).map(squeezed)).toEqual(words.map((list) => squeezed(list.join(' '))));
  expect(() => quoted('a\nb')).toThrow('cannot be quoted');
});
