import { describe, expect, test } from 'vitest';
import { attemptsOf, BootSplitter, QUIET_MS, SILENCE_MS } from '../../imager/journal/attempts.ts';
import type { BootEvent, RecordedEvent } from '../../imager/journal/event.ts';

const ROM = { arch: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001' };
const IPXE = { ...ROM, userClass: 'iPXE' };
const UEFI = { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003000' };
const HTTP = { arch: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000' };

/** Events as `seconds component step`, with details where needed. */
function history(...events: [string, BootEvent['detail']?, string?][]): RecordedEvent[] {
  return events.map(([text, detail, reason], i) => {
    const [seconds, component, step] = text.split(' ') as [string, BootEvent['component'], string];
    return {
      id: i + 1,
      at: Number(seconds) * 1000,
      component,
      step,
      node: 'n',
      ...(detail === undefined ? {} : { detail }),
      ...(reason === undefined ? {} : { reason }),
    };
  });
}
const LATER = 10_000_000;
const summary = (events: RecordedEvent[], now = LATER) =>
  attemptsOf(events, now).map(({ events: own, phase, outcome }) => `${own.length} ${phase} ${outcome}`);

/** A whole boot of five programs' words. */
const good = (from: number): Parameters<typeof history> => [
  [`${from} dhcp discover`, ROM],
  [`${from} dhcp offer`],
  [`${from + 1} dhcp request`, ROM],
  [`${from + 1} dhcp ack`],
  [`${from + 2} tftp transfer-end`, { file: 'undionly.kpxe' }],
  [`${from + 3} dhcp discover`, IPXE],
  [`${from + 3} dhcp ack`],
  [`${from + 5} http transfer-end`, { file: 'images/a/kernel' }],
  [`${from + 9} agent hello`],
  [`${from + 10} nbd attach`],
  [`${from + 14} agent ready`],
];

describe('where an attempt begins', () => {
  test.each<[string, Parameters<typeof history>, string[]]>([
    ['ROM and the loader it fetched are one boot', good(0), ['11 ready ready']],
    ['a boot after ready is another', [...good(0), ...good(20)], ['11 ready ready', '11 ready ready']],
    [
      'DISCOVERs without an offer are one boot',
      [
        ['0 dhcp discover', ROM],
        ['4 dhcp discover', ROM],
        ['12 dhcp discover', ROM],
        ['28 dhcp discover', ROM],
      ],
      ['4 dhcp stopped'],
    ],
    [
      'offers that are not taken are one boot',
      [['0 dhcp discover', ROM], ['0 dhcp offer'], ['4 dhcp discover', ROM], ['4 dhcp offer']],
      ['4 dhcp stopped'],
    ],
    [
      'after silence it is another',
      [
        ['0 dhcp discover', ROM],
        [`${1 + SILENCE_MS / 1000} dhcp discover`, ROM],
      ],
      ['1 dhcp stopped', '1 dhcp stopped'],
    ],
    [
      'the same program again after an address is another',
      [['0 dhcp discover', ROM], ['0 dhcp ack'], ['9 dhcp discover', ROM], ['9 dhcp ack']],
      ['2 dhcp stopped', '2 dhcp stopped'],
    ],
    [
      'UEFI that tries PXE, then HTTP, is one boot',
      [
        ['0 dhcp discover', UEFI],
        ['0 dhcp ack'],
        ['1 tftp refused', {}, 'unknown-file'],
        ['3 dhcp discover', HTTP],
      ],
      ['4 files stopped'],
    ],
    [
      'switching power on begins one, minutes before the first packet',
      [['0 imager power', { action: 'on' }], ['240 dhcp discover', ROM], ['240 dhcp ack']],
      ['3 dhcp stopped'],
    ],
    [
      'switching power off begins none',
      [...good(0), ['20 imager power', { action: 'off' }], ['21 nbd detach']],
      ['13 ready ready'],
    ],
    [
      'connections of the boot before that end late say nothing of this one',
      [
        ...good(0),
        ['20 dhcp discover', ROM],
        ['21 agent disconnect', {}, 'silent'],
        ['21 nbd detach', {}, 'silent'],
        ['22 dhcp discover', IPXE],
      ],
      ['11 ready ready', '4 dhcp stopped'],
    ],
    [
      'a transfer of the boot before that ends late belongs to that, and says nothing of this one',
      [
        ['0 dhcp discover', ROM],
        ['0 dhcp ack'],
        ['2 tftp transfer-start', { file: 'kernel', port: 2070 }],
        ['10 dhcp discover', ROM],
        ['10 dhcp offer'],
        ['32 tftp transfer-failed', { file: 'kernel', port: 2070 }, 'timeout'],
        ['36 dhcp discover', ROM],
      ],
      ['4 files stopped', '3 dhcp stopped'],
    ],
    [
      'a transfer whose start is not known says nothing',
      [
        ['0 dhcp discover', ROM],
        ['1 http transfer-failed', { file: 'kernel' }, 'client-gone'],
        ['4 dhcp discover', ROM],
      ],
      ['3 dhcp stopped'],
    ],
    [
      "the running system's own client begins none",
      [...good(0), ['500 dhcp discover', { vendorClass: 'udhcp 1.35.0' }], ['500 dhcp ack']],
      ['13 ready ready'],
    ],
    [
      'the double reboot is two',
      [...good(0).slice(0, -1), ['14 agent reboot', { number: 1 }], ...good(16)],
      ['11 disk rebooted', '11 ready ready'],
    ],
    [
      'a history that begins in the middle has its attempt',
      [['0 agent hello'], ['1 nbd attach']],
      ['2 disk stopped'],
    ],
  ])('%s', (_name, events, expected) => expect(summary(history(...events))).toEqual(expected));
});

describe('how it stands', () => {
  test('lately heard of: in progress; later: stopped', () => {
    const events = history(['0 dhcp discover', ROM], ['1 dhcp ack']);
    expect(summary(events, 1000 + QUIET_MS - 1)).toEqual(['2 dhcp in-progress']);
    expect(summary(events, 1000 + QUIET_MS)).toEqual(['2 dhcp stopped']);
  });
  test('a transfer under way is in progress however slow it is', () => {
    const events = history(['0 dhcp discover', ROM], ['1 tftp transfer-start', { file: 'f' }]);
    expect(summary(events)).toEqual(['2 files in-progress']);
    const afterRestart = attemptsOf(events, LATER, 2000);
    expect(afterRestart.map(({ outcome }) => outcome)).toEqual(['stopped']);
  });
  test('an earlier attempt is never in progress', () => {
    const events = history(['0 dhcp discover', ROM], ['1 dhcp ack'], ['2 dhcp discover', ROM]);
    expect(summary(events, 3000)).toEqual(['2 dhcp stopped', '1 dhcp in-progress']);
  });
  test('an agent that gave up has stopped', () => {
    const events = history(
      ['0 dhcp discover', ROM],
      ['8 agent hello'],
      ['9 agent failed', { why: 'no disk' }],
    );
    expect(summary(events, 9100)).toEqual(['3 agent stopped']);
  });
  test('of a node that tries for hours the first and the last are told', () => {
    const lines = Array.from(
      { length: 1000 },
      (_, i) => [`${i * 8} dhcp discover`, ROM] as [string, typeof ROM],
    );
    const [attempt] = attemptsOf(history(...lines), LATER);
    expect(attempt).toMatchObject({ omitted: 600, startedAt: 0, lastAt: 7_992_000 });
    expect(attempt!.events.map(({ id }) => id)).toEqual([...ids(1, 200), ...ids(801, 1000)]);
  });
  test('nothing is nothing', () => expect(attemptsOf([], 0)).toEqual([]));
});

function ids(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

test('a client of ever new names is not remembered with all of them', () => {
  const splitter = new BootSplitter();
  const says = (program: string) => splitter.begins({ at: 1, program, firmware: true, phase: 'dhcp' });
  says('a');
  splitter.begins({ at: 1, phase: 'files' });
  for (let i = 0; i < 100; i++) says(`name ${i}`);
  // Else it would be known to have come past DHCP.
  expect(says('a')).toBe(false);
});
