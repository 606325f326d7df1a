import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineReader, LONGEST_LINE, lineMeaning } from '../../firmware-stubs/rig/serial.ts';

test('lines come without terminal sequences, and a cleared screen ends a line', () => {
  const reader = new LineReader();
  expect(reader.push('\x1bc\x1b[?7l\x1b[2J\x1b[0mSeaBIOS\r\n\r\nbootwri')).toEqual(['SeaBIOS']);
  expect(reader.partial).toBe('bootwri');
  expect(reader.push('ght: firmware boot a\x1bc\x1b[2Jinit up\r\n')).toEqual([
    'bootwright: firmware boot a',
    'init up',
  ]);
});

test('how the bytes are cut does not matter, and what is held back has a limit', () => {
  // Pieces without an escape character: a sequence that is cut in two is shown, as on a terminal that joins late.
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\r', '\n', '\x07'), maxLength: 40 });
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const whole = new LineReader().push(pieces.join(''));
      const reader = new LineReader();
      expect(pieces.flatMap((text) => reader.push(text))).toEqual(whole);
    }),
  );
  const reader = new LineReader();
  const lines = reader.push('x'.repeat(10 * LONGEST_LINE + 5));
  expect(lines).toHaveLength(10);
  expect(reader.partial).toBe('xxxxx');
});

test.each([
  ['bootwright: firmware start', { component: 'firmware', step: 'start' }],
  [
    'bootwright: firmware pointer image=alpha slot=1 attempts=3',
    { component: 'firmware', step: 'pointer', detail: { image: 'alpha', slot: 1, attempts: 3 } },
  ],
  [
    'bootwright: firmware dhcp 10.77.0.11',
    { component: 'firmware', step: 'dhcp', detail: { address: '10.77.0.11' } },
  ],
  ['bootwright: firmware load alpha', { component: 'firmware', step: 'load', detail: { image: 'alpha' } }],
  ['bootwright: firmware boot alpha', { component: 'firmware', step: 'boot', detail: { image: 'alpha' } }],
  [
    'bootwright: firmware error no DHCP lease',
    { component: 'firmware', step: 'error', reason: 'no DHCP lease' },
  ],
  ['bootwright: step ready 4.25', { component: 'agent', step: 'ready', detail: { uptime: 4.25 } }],
  ['kbootwright: step agent 2.5', { component: 'agent', step: 'agent', detail: { uptime: 2.5 } }],
  ['bootwright: step ready', undefined],
  ['bootwright: step ready soon', undefined],
  ['bootwright: firmware pointer image=a', undefined],
  ['bootwright: firmware dance', undefined],
  ['say bootwright: firmware start', undefined],
])('%s', (line, meaning) => {
  expect(lineMeaning(line)).toEqual(meaning);
});

test('no line makes the reader of meanings fail', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.constantFrom('', 'bootwright: firmware ', 'bootwright: step '),
      (text, start) => {
        lineMeaning(start + text);
      },
    ),
  );
});
