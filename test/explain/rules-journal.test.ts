/** One failure after the other, as the journal tells it. */
import { describe, expect, test } from 'vitest';
import { attemptText } from '../../imager/explain/boots.ts';
import { explainJournal } from '../../imager/explain/explain.ts';
import { observeJournal } from '../../imager/explain/from-journal.ts';
import { eventRow } from '../../imager/explain/timeline.ts';
import { attemptsOf } from '../../imager/journal/attempts.ts';
import type { BootEvent, RecordedEvent } from '../../imager/journal/event.ts';
import { begin, next } from '../../imager/tftp/transfer.ts';
import { MenuLab } from '../menus/world.ts';
import { BIOS, HTTP, IPXE, MAC, UEFI } from './clients.ts';

describe('from the journal', () => {
  const imager = '10.77.0.1';
  /** `seconds component step`, detail, reason. */
  const events = (...lines: [string, BootEvent['detail']?, string?][]): RecordedEvent[] =>
    lines.map(([text, detail, reason], i) => {
      const [at, component, step] = text.split(' ') as [string, BootEvent['component'], string];
      const told = { id: i, at: Number(at) * 1000, component, step, mac: MAC, address: '10.77.0.11' };
      return {
        ...told,
        ...(detail === undefined ? {} : { detail }),
        ...(reason === undefined ? {} : { reason }),
      };
    });
  const told = { subnet: '10.77.0.0/24', file: 'start.pxe', server: imager };
  const lease = (
    rest: BootEvent['detail'] = {},
    client: BootEvent['detail'] = BIOS,
  ): Parameters<typeof events> => [
    ['0 dhcp discover', { ...client, asked: '66,67', subnet: '10.77.0.0/24' }],
    ['0 dhcp offer', { ...told, ...rest }],
    ['1 dhcp request', client],
    ['1 dhcp ack', { ...told, ...rest }],
  ];
  const kernel = { file: 'images/a/kernel', bytes: 5 };
  const loaded: Parameters<typeof events> = [
    ['2 http transfer-start', { file: 'images/a/kernel', size: 5 }],
    ['2 http transfer-end', kernel],
  ];

  test.each<[string, Parameters<typeof events>, string | RegExp]>([
    [
      'a stranger without a pool',
      [['0 dhcp discover', BIOS, 'unknown-client']],
      'the imager does not answer n1: the configuration has no such node and there is no pool of addresses',
    ],
    [
      'ready, with the fallback image',
      [
        ...lease(),
        ['5 agent hello', { bootedImage: 'base' }],
        [
          '5 agent fallback',
          { image: 'base', failed: 'broken', attempts: 3, why: 'no disk' },
          'no-attempts-left',
        ],
        ['9 agent ready'],
      ],
      'ready with the fallback image base, since broken was not ready after 3 attempts: no disk',
    ],
    [
      'why there is no boot file',
      [
        ['0 dhcp discover', UEFI],
        ['0 dhcp offer', { why: 'no boot.image is configured' }],
        ['1 dhcp request', UEFI],
        ['1 dhcp ack', { why: 'no boot.image is configured' }],
      ],
      'no boot file: 10.77.0.1 gave x86-64 UEFI (arch 7) the address 10.77.0.11 and nothing to load: no boot.image is configured',
    ],
    [
      'a file of another machine',
      lease({ server: '10.77.0.9' }),
      'x86 BIOS (arch 0) was told to load start.pxe from 10.77.0.9, and nothing was heard of it since: what is asked of 10.77.0.9 cannot be seen from here',
    ],
    [
      'an offer of another server taken',
      [...lease().slice(0, 2), ['1 dhcp request', { ...BIOS, chosen: '10.77.0.5' }, 'other-server']],
      "second DHCP server on the wire: 10.77.0.1 and 10.77.0.5 both give addresses, and the node took 10.77.0.5's",
    ],
    [
      'an offer of a URL that is lost',
      lease({ file: 'http://10.77.0.1/ipxe.efi' }, HTTP).slice(0, 2),
      /took no offer of 10\.77\.0\.1$/,
    ],
    [
      'a URL of HTTPS that is not asked for',
      lease({ file: 'https://10.77.0.1/ipxe.efi' }, HTTP),
      'no request for it reached TCP port 443 of 10.77.0.1',
    ],
    [
      'a URL of HTTPS with its port',
      lease({ file: 'https://10.77.0.1:8443/ipxe.efi' }, HTTP),
      'no request for it reached TCP port 8443 of 10.77.0.1',
    ],
    [
      'a NAK',
      [
        ['0 dhcp request', BIOS],
        ['0 dhcp nak', {}, 'wrong-network'],
      ],
      'DHCP server 10.77.0.1 refuses the address 10.77.0.11: wrong network',
    ],
    [
      'a transfer that broke',
      [
        ...lease(),
        ['2 tftp transfer-start', { file: 'start.pxe', size: 9000 }],
        ['30 tftp transfer-failed', { file: 'start.pxe', bytes: 1024, message: 'no answer' }, 'timeout'],
      ],
      'transfer stalled: start.pxe from TFTP server 10.77.0.1 stopped at byte 1024 of 9000 (no answer)',
    ],
    [
      'a request refused for another reason',
      [...lease(), ['2 tftp refused', { file: 'start.pxe', message: 'the disk is broken' }, 'open-failed']],
      'TFTP server 10.77.0.1 refuses start.pxe: TFTP error 0 "the disk is broken"',
    ],
    [
      'a kernel without an agent',
      [...lease({}, IPXE), ...loaded],
      'the kernel was loaded and the agent never spoke: images/a/kernel without an initrd',
    ],
    [
      'a tagged image without an agent',
      [
        ...lease({}, IPXE),
        ['2 http transfer-start', { file: 'images/t/nbi.0', size: 5 }],
        ['2 http transfer-end', { file: 'images/t/nbi.0', bytes: 5 }],
        ['3 tftp transfer-start', { file: 'images/t/boot.nbi', size: 50 }],
        ['3 tftp transfer-end', { file: 'images/t/boot.nbi', bytes: 50 }],
      ],
      'the tagged image was loaded and no agent spoke: images/t/boot.nbi came whole, then nothing',
    ],
    [
      'an agent that gave up',
      [...lease(), ...loaded, ['8 agent hello'], ['9 agent failed', { why: 'no disk d1' }]],
      'the agent gave up: no disk d1',
    ],
    [
      'a disk refused',
      [...lease(), ['8 agent hello'], ['9 nbd refused', { export: 'd1' }, 'policy']],
      'the imager refused the disk d1: policy',
    ],
    [
      'a reboot without return',
      [...lease(), ['8 agent hello'], ['9 agent reboot', { number: 1 }]],
      'the agent restarted the node on purpose, and nothing was heard of it since',
    ],
    [
      'silence after mounting',
      [...lease(), ['8 agent hello'], ['9 agent mounted']],
      'the node stopped on its way to ready: its last word was "mounted", 91 s ago',
    ],
    [
      'all well',
      [...lease(), ...loaded, ['8 agent hello'], ['14 agent ready']],
      'all well: ready 14.0 s after its first packet',
    ],
  ])('%s', (_name, lines, expected) => {
    const found = explainJournal(events(...lines), { who: 'n1', imager, now: 100_000 });
    expect(found?.cause).toEqual(
      typeof expected === 'string' ? expect.stringContaining(expected) : expect.stringMatching(expected),
    );
    expect(found?.course.length).toBeGreaterThan(0);
  });

  describe('an agent that supervises a system that is up', () => {
    const joins: Parameters<typeof events> = [['8 agent hello', { bootId: 'a' }], ['9 agent supervise']];
    const at = (...lines: Parameters<typeof events>) => {
      const heard = events(...lines);
      const [attempt, ...others] = attemptsOf(heard, 900_000);
      expect(others).toEqual([]);
      const boots = attemptText(attempt!, { who: 'n1', imager }).outcome;
      return [explainJournal(heard, { who: 'n1', imager, now: 900_000 })?.cause, boots];
    };
    const up = 'its system is up; supervised since 1970-01-01 00:00:09Z';

    test.each<[string, Parameters<typeof events>, string]>([
      ['is no boot', joins, up],
      ['with a system that has booted from here', [...lease(), ...joins], up],
      [
        'and has connected anew',
        [...joins, ['50 agent disconnect'], ['60 agent hello', { bootId: 'a' }], ['61 agent adapter']],
        up,
      ],
      ['and was silent for a while', [...joins, ['50 agent lost', { silentSeconds: 30 }]], up],
      [
        'and was started anew: the same boot',
        [
          ...joins,
          ['60 agent hello', { bootId: 'a' }],
          ['60 agent disconnect', {}, 'replaced'],
          ['61 agent supervise'],
        ],
        'its system is up; supervised since 1970-01-01 00:01:01Z',
      ],
      [
        'and went away',
        [...joins, ['50 agent disconnect']],
        'its system was up, supervised since 1970-01-01 00:00:09Z; its agent went away at 1970-01-01 00:00:50Z and is not back',
      ],
      [
        'and went away, and is lost',
        [...joins, ['70 agent disconnect', {}, 'silent'], ['90 agent lost', { silentSeconds: 90 }]],
        'its system was up, supervised since 1970-01-01 00:00:09Z; its agent went away at 1970-01-01 00:01:10Z and is not back',
      ],
    ])('%s', (_name, lines, expected) => {
      expect(at(...lines)).toEqual([expected, expected]);
    });

    test.each<[string, Parameters<typeof events>, string]>([
      ['another boot', [...joins, ['60 agent hello', { bootId: 'b' }]], 'its last word was "hello"'],
      ['refused since', [...joins, ['60 agent refused', {}, 'no-key']], 'the imager refused the connection'],
    ])('not: %s', (_name, lines, expected) => {
      const [explained, boots] = at(...lines);
      expect(explained).toContain(expected);
      expect(boots).toContain('stopped at agent: ');
    });

    test('is past once the node boots', () => {
      const again = events(['800 dhcp discover', BIOS], ['800 dhcp offer', told]);
      const found = explainJournal([...events(...joins), ...again], { who: 'n1', imager, now: 801_000 });
      expect(found).toMatchObject({
        startedAt: 800_000,
        cause: 'it is booting: nothing has gone wrong so far',
      });
    });
  });

  test('the end of an earlier connection hides nothing', () => {
    const lines = events(
      ...lease(),
      ['2 tftp refused', { file: 'start.pxe' }, 'unknown-file'],
      ['3 agent disconnect', {}, 'silent'],
      ['3 nbd detach', { export: 'd1' }, 'silent'],
    );
    const found = explainJournal(lines, { who: 'n1', imager, now: 100_000 });
    expect(found?.cause).toContain('missing file');
  });

  test.each<[string, Parameters<typeof events>, string]>([
    [
      'no request for the file',
      [
        ['0 dhcp discover', BIOS],
        ['0 dhcp offer', { file: 'start.pxe', server: imager }],
        ['1 dhcp request', { ...BIOS, server: '10.77.0.9' }, 'other-server'],
      ],
      'blocked port: the node was told to load start.pxe, and no request for it reached UDP port 69 of 10.77.0.1',
    ],
    [
      'nothing to load',
      [['0 dhcp discover', { ...UEFI, why: 'no iPXE here' }, 'no-boot-file']],
      'the imager does not answer n1: there is no boot file for it (no iPXE here)',
    ],
    [
      'an address asked of the imager itself',
      [
        ['0 dhcp discover', BIOS],
        ['0 dhcp offer', { file: 'start.pxe', server: imager }],
        ['1 dhcp request', BIOS, 'proxy-only'],
      ],
      'x86 BIOS (arch 0) asks 10.77.0.1 for an address, which offered none: it is a boot server beside the DHCP server',
    ],
    [
      'nothing to load, and an address of the other one',
      [
        ['0 dhcp discover', { ...UEFI, why: 'no iPXE here' }, 'no-boot-file'],
        ['1 dhcp request', { ...UEFI, server: '10.77.0.9' }, 'other-server'],
      ],
      'the imager does not answer n1: there is no boot file for it (no iPXE here)',
    ],
  ])('beside another DHCP server: %s', (_name, lines, expected) => {
    const heard = events(...lines).map(({ address, ...event }) =>
      event.step === 'request' ? { ...event, address: address! } : event,
    );
    const found = explainJournal(heard, { who: 'n1', imager, now: 100_000 });
    expect(found?.cause).toContain(expected);
  });

  test.each<[string, Parameters<typeof events>[0], string]>([
    ['no boot file', ['0 dhcp discover', UEFI, 'no-boot-file'], 'boot.image'],
    ['a lease renewed', ['0 dhcp request', UEFI, 'other-server'], 'that is as it should be'],
    ['no address', ['0 dhcp discover', UEFI, 'pool-exhausted'], 'network.pool'],
  ])('what to do about silence: %s', (_name, line, advice) => {
    const found = explainJournal(events(line), { who: 'n1', imager, now: 100_000 });
    expect(found?.advice).toEqual([expect.stringContaining(advice)]);
  });

  test('a boot that goes well so far is told as such', () => {
    const found = explainJournal(events(...lease()), { who: 'n1', imager, now: 2000 });
    expect(found?.cause).toBe('it is booting: nothing has gone wrong so far');
  });

  test('iPXE may look for an IPv6 router for a while', () => {
    const at = (client: BootEvent['detail'], now: number) =>
      explainJournal(events(...lease({}, client)), { who: 'n1', imager, now })?.cause;
    expect(at(IPXE, 18_000)).toBe('it is booting: nothing has gone wrong so far');
    expect(at(IPXE, 22_000)).toContain('blocked port');
    expect(at(BIOS, 18_000)).toContain('blocked port');
  });

  test('a node that was switched on and is silent', () => {
    const on = events(['0 imager power', { action: 'on' }]);
    const at = (now: number) => explainJournal(on, { who: 'n1', imager, now });
    expect(at(2000)?.cause).toBe('it is booting: nothing has gone wrong so far');
    expect(at(42_000)?.cause).toBe('nothing was heard of it since it was switched on 42 s ago');
  });

  test('times of the course are whole milliseconds', () => {
    const lines = events(...lease()).map((event, i) => ({ ...event, at: event.at + i / 3 }));
    const course = explainJournal(lines, { who: 'n1', imager, now: 2000 })!.course;
    expect(course.filter(({ seconds }) => !Number.isInteger(Math.round(seconds * 1e6) / 1000))).toEqual([]);
  });

  test('an address with nothing to load is told at once', () => {
    const why = 'no image for it';
    const lines = events(
      ['0 dhcp discover', IPXE],
      ['0 dhcp offer', { why }],
      ['1 dhcp request', IPXE],
      ['1 dhcp ack', { why }],
    );
    expect(explainJournal(lines, { who: 'n1', imager, now: 2000 })?.cause).toMatch(
      /^no boot file: .*: no image for it$/,
    );
  });

  describe('a script that was fetched though the firmware was told something else', () => {
    const script: Parameters<typeof events> = [
      ['3 http transfer-start', { file: 'boot.ipxe', size: 5 }],
      ['3 http transfer-end', { file: 'boot.ipxe', bytes: 5 }],
    ];
    const at = (...lines: Parameters<typeof events>) =>
      explainJournal(events(...lines, ...script), { who: 'n1', imager, now: 100_000 });

    test('is not what it was told to load', () => {
      const found = at(...lease({ file: 'ipxe/snponly.efi', server: '10.77.0.2' }, UEFI));
      expect(found?.cause).not.toContain('told to load boot.ipxe');
      expect(found?.cause).toContain('boot.ipxe was loaded, and nothing it says to load was asked for');
    });

    test('hides no reason why there is no boot file', () => {
      const why = 'there is no iPXE for 64-bit Arm UEFI';
      const arm = { arch: 11, vendorClass: 'PXEClient:Arch:00011:UNDI:003000' };
      const found = at(
        ['0 dhcp discover', arm],
        ['0 dhcp offer', { why }],
        ['1 dhcp request', arm],
        ['1 dhcp ack', { why }],
      );
      expect(found?.cause).toMatch(
        /^no boot file: .* and nothing to load: there is no iPXE for 64-bit Arm UEFI$/,
      );
      expect(found?.evidence).toContain('boot.ipxe was asked for all the same: +3.00 s');
    });
  });

  test('an example for another architecture is not advised', () => {
    const arm = { arch: 11, vendorClass: 'PXEClient:Arch:00011:UNDI:003000' };
    const advice = (client: BootEvent['detail']) =>
      explainJournal(
        events(
          ...lease({}, client),
          ['2 tftp transfer-start', { file: 'start.pxe', size: 5 }],
          ['2 tftp transfer-end', { file: 'start.pxe', bytes: 5 }],
        ),
        { who: 'n1', imager, now: 100_000 },
      )?.advice;
    expect(advice(UEFI)).toEqual([expect.stringContaining('such as ipxe/snponly.efi')]);
    expect(advice(arm)).toEqual([
      expect.stringMatching(/an EFI loader that is built for 64-bit Arm UEFI: boot\.files\.efi-arm64/),
    ]);
  });

  test('asking for the size of a file first is no failure', () => {
    const sized = events(
      ...lease(),
      ['2 tftp transfer-start', { file: 'start.pxe', size: 9 }],
      ['2 tftp transfer-failed', { file: 'start.pxe', bytes: 0 }, 'declined'],
    );
    const found = explainJournal(sized, { who: 'n1', imager, now: 4000 });
    expect(found?.cause).toBe('it is booting: nothing has gone wrong so far');
  });

  describe('transfers of one file', () => {
    const start = (at: number, port?: number): Parameters<typeof events>[0] => [
      `${at} tftp transfer-start`,
      { file: 'boot.ipxe', size: 900, ...(port === undefined ? {} : { port }) },
    ];
    const end = (at: number, port?: number): Parameters<typeof events>[0] => [
      `${at} tftp transfer-end`,
      { file: 'boot.ipxe', bytes: 900, ...(port === undefined ? {} : { port }) },
    ];
    const failed = (at: number, reason: string, port?: number): Parameters<typeof events>[0] => [
      `${at} tftp transfer-failed`,
      { file: 'boot.ipxe', bytes: 0, ...(port === undefined ? {} : { port }) },
      reason,
    ];
    const ends = (...lines: Parameters<typeof events>) =>
      observeJournal(events(...lines), imager).map((each) => each.kind === 'transfer' && each.end);

    test.each([[2070], [undefined]])('the second takes the place of the first at port %s', (port) => {
      const lines = [start(2, port), start(4, port), failed(4, 'superseded', port), end(5, port)];
      expect(ends(...lines)).toEqual(['declined', 'done']);
      const found = explainJournal(events(...lease(), ...lines), { who: 'n1', imager, now: 600_000 });
      expect(found?.cause).not.toContain('it is booting');
    });

    test('at once, from two ports', () =>
      expect(ends(start(2, 2070), start(3, 2071), end(4, 2071), failed(32, 'timeout', 2070))).toEqual([
        'broken',
        'done',
      ]));

    test('of two boots: the late end is told with the one that it ends', () => {
      const next = lease().map(([line, ...rest]): Parameters<typeof events>[0] => [
        line.replace(/^\d+/, (at) => String(Number(at) + 10)),
        ...rest,
      ]);
      const outcomes = (...lines: Parameters<typeof events>) =>
        attemptsOf(events(...lines), 600_000).map(
          (attempt) => attemptText(attempt, { who: 'n1', imager }).outcome,
        );
      const first = [...lease(), start(2, 2070)];
      const stalled = 'stopped at files: transfer stalled: boot.ipxe from TFTP server 10.77.0.1';
      const late = outcomes(...first, ...next.slice(0, 2), failed(32, 'timeout', 2070));
      expect(late).toEqual([
        `${stalled} began and did not come to its end (timeout)`,
        expect.stringMatching(/^stopped at dhcp: offered but never requested/),
      ]);
      expect(outcomes(...first, ...next)[0]).toBe(`${stalled} began and did not come to its end`);
    });

    test('one that waits for a place and one that is refused leave another alone', () => {
      const full = (at: number): Parameters<typeof events>[0] => [
        `${at} tftp refused`,
        { file: 'boot.ipxe' },
        'too-many-per-client',
      ];
      const refused: Parameters<typeof events>[0] = ['3 tftp refused', { file: 'boot.ipxe' }, 'option'];
      expect(ends(start(2, 2070), full(3), end(4, 2070))).toEqual(['done']);
      expect(ends(start(2, 2070), refused, end(4, 2070))).toEqual(['done', 'refused']);
      expect(ends(full(1), full(2), refused)).toEqual(['refused']);
    });

    test('an end alone says nothing of a boot', () =>
      expect(ends(...lease(), failed(32, 'timeout', 2070))).toEqual([false, false, false, false]));
  });

  test('a first answer that is lost is not too large', () => {
    const at = (bytes: number, place: string) => {
      const message = `no answer from the client for 31000 ms${place}`;
      const lines = events(
        ...lease(),
        ['2 tftp transfer-start', { file: 'start.pxe', size: 9000 }],
        ['30 tftp transfer-failed', { file: 'start.pxe', bytes, message }, 'timeout'],
      );
      return explainJournal(lines, { who: 'n1', imager, now: 100_000 })?.advice.join();
    };
    expect(at(0, ', not even to the first packet')).toContain('a firewall that drops UDP');
    expect(at(0, ', not even to the first packet')).not.toMatch(/blksize|MTU/);
    // The OACK was acknowledged, the first block was not.
    expect(at(0, ' after block 0')).toMatch(/blksize.*MTU/);
  });

  test('the words of a first answer that is lost are those of the TFTP server', () => {
    let { state, effects } = begin({ windowsize: 1, offer: true, maxRetransmissionMs: 2000 }, 0);
    for (let now = 1000; state.phase !== 'ended'; now += 10_000)
      ({ state, effects } = next(state, { type: 'timer' }, now));
    const [message] = effects.flatMap((each) => (each.type === 'send-error' ? [each.message] : []));
    expect(message).toMatch(/^no answer .* not even to the first packet$/);
  });

  test('a part of a file is not the whole of it', () => {
    const read = (detail: Record<string, number>) =>
      events(
        ...lease(),
        ['2 http transfer-start', { file: 'images/a/kernel', size: 100 }],
        ['3 http transfer-end', { file: 'images/a/kernel', bytes: 100, ...detail }],
      );
    const at = (heard: RecordedEvent[]) => explainJournal(heard, { who: 'n1', imager, now: 100_000 })?.cause;
    expect(at(read({}))).toContain('came whole');
    expect(at(read({ of: 14_000_000 }))).not.toContain('came whole');
  });

  test('a request that waits for a place is not refused', () => {
    const full: Parameters<typeof events>[0] = [
      '2 tftp refused',
      { file: 'start.pxe' },
      'too-many-transfers',
    ];
    const waits = events(...lease(), full, full);
    const at = (now: number, heard: RecordedEvent[]) =>
      explainJournal(heard, { who: 'n1', imager, now })?.cause;
    expect(at(4000, waits)).toBe('it is booting: nothing has gone wrong so far');
    expect(at(100_000, waits)).toBe(
      'TFTP server 10.77.0.1 had no place yet for start.pxe (too many transfers at once), and the node has not asked again since',
    );
    const loading = events(...lease(), full, ['3 tftp transfer-start', { file: 'start.pxe', size: 9 }], full);
    expect(at(100_000, loading)).toBe('it is booting: nothing has gone wrong so far');
  });

  test.each([
    ['script 10-a: exit 3', true],
    ['no disk d1', false],
  ])('where the agent gave up (%s): where to read what its scripts said', (why, named) => {
    const found = explainJournal(events(...lease(), ['8 agent hello'], ['9 agent failed', { why }]), {
      ...{ who: 'n1', imager, now: 60_000 },
    });
    expect(found?.advice.join()).toEqual(
      named ? expect.stringContaining('imager node output n1') : expect.not.stringContaining('node output'),
    );
  });

  test('what a missing file may have meant', () => {
    const lines = events(...lease(), ['2 tftp refused', { file: 'images/debain-12/kernel' }, 'unknown-file']);
    const knownFiles = ['images/debian-12/kernel', 'images/other/initrd'];
    const found = explainJournal(lines, { who: 'n1', imager, now: 100_000, known: { files: knownFiles } });
    expect(found?.advice[0]).toBe('there is something like it: images/debian-12/kernel');
  });

  describe('the boot before, where the last one has hardly begun', () => {
    const refused: Parameters<typeof events>[0] = ['2 tftp refused', { file: 'start.pxe' }, 'unknown-file'];
    const again = events(['20 dhcp discover', BIOS], ['20 dhcp offer', told]);
    const at = (now: number, ...heard: RecordedEvent[][]) =>
      explainJournal(heard.flat(), { who: 'n1', imager, now });

    test('is told where it failed, and as the one before', () => {
      const found = at(30_000, events(...lease(), refused), again);
      expect(found).toMatchObject({ startedAt: 0, nextAt: 20_000 });
      expect(found?.cause).toContain('missing file');
      expect(at(40_000, events(...lease(), refused), again)).not.toHaveProperty('nextAt');
      const cut = events(...lease(), ['2 tftp transfer-start', { file: 'start.pxe', size: 9000 }]);
      expect(at(30_000, cut, again)?.cause).toBe(
        'transfer stalled: start.pxe from TFTP server 10.77.0.1 began and did not come to its end',
      );
    });

    test('is past where the new one has failed itself', () => {
      const damaged: Parameters<typeof events>[0] = ['21 http refused', { file: 'a' }, 'unreadable'];
      const found = at(22_000, events(...lease(), ...loaded), again, events(damaged));
      expect(found).toMatchObject({
        startedAt: 20_000,
        cause: expect.stringContaining('refuses a: HTTP status 500'),
      });
    });

    test('is past where it ended well, or the node was switched', () => {
      const ready = events(...lease(), ['8 agent hello'], ['14 agent ready']);
      const restarted = events(...lease(), ['8 agent hello'], ['14 agent reboot']);
      const switched = events(['20 imager power', { action: 'cycle' }]);
      for (const heard of [
        [ready, again],
        [restarted, again],
        [events(...lease(), refused), switched],
      ]) {
        const found = at(21_000, ...heard);
        expect(found).toMatchObject({
          startedAt: 20_000,
          cause: 'it is booting: nothing has gone wrong so far',
        });
        expect(found).not.toHaveProperty('nextAt');
      }
    });
  });

  test('what was refused on the way is told beside what goes on', () => {
    const lines = events(
      ...lease(),
      ['2 tftp refused', { file: 'a.cfg', message: 'file not found' }, 'unknown-file'],
      ['3 tftp transfer-start', { file: 'b.cfg', size: 9 }],
      ['3 tftp transfer-end', { file: 'b.cfg', bytes: 9 }],
      ['4 tftp transfer-start', { file: 'kernel', size: 9 }],
    );
    const found = explainJournal(lines, { who: 'n1', imager, now: 5000 });
    expect(found).toMatchObject({
      cause:
        'it is booting, after a failure on the way: a.cfg from TFTP server 10.77.0.1: refused with 1 (file not found)',
      evidence: ['a.cfg from TFTP server 10.77.0.1: refused with 1 (file not found): +2.00 s'],
    });
  });

  test('a node that is ready and asks for its address again is ready', () => {
    const lines = events(...lease(), ['8 agent hello'], ['14 agent ready'], ['90 dhcp ack', told]);
    expect(explainJournal(lines, { who: 'n1', imager, now: 91_000 })?.cause).toContain('all well: ready');
  });

  test('a transfer that the end of the imager cut off', () => {
    const lines = events(...lease(), ['2 tftp transfer-start', { file: 'start.pxe', size: 9000 }]);
    const at = (started: number) =>
      explainJournal(lines, { who: 'n1', imager, now: 100_000, known: { files: [], started } })?.cause;
    expect(at(0)).toBe('it is booting: nothing has gone wrong so far');
    expect(at(50_000)).toBe(
      'transfer stalled: start.pxe from TFTP server 10.77.0.1 began and did not come to its end (the imager ended in the middle of it)',
    );
  });

  describe('an image that is not there', () => {
    const because = 'image base is not in the boot table (boot.image of the configuration)';
    const heard = events(...lease({}, IPXE), [
      '2 http refused',
      { file: 'boot.ipxe', why: because },
      'not-found',
    ]);
    const at = (lines: RecordedEvent[], images: string[]) =>
      explainJournal(lines, { who: 'n1', imager, now: 100_000, known: { files: [], images } });

    test('is named with what adds it, though a menu was asked for', () => {
      const found = at(heard, ['bass', 'other']);
      expect(found?.cause).toBe(
        'missing image: "base" is not in the boot table (boot.image of the configuration), so HTTP server 10.77.0.1 has no boot.ipxe',
      );
      expect(found?.advice).toEqual([
        expect.stringContaining('add it: imager image build base --arch amd64 '),
        'or correct the name where it is told (boot.image of the configuration)',
        'there is something like it: bass',
      ]);
    });

    test('is found by the path asked for, where the table is known', () => {
      const lines = events(...lease(), ['2 tftp refused', { file: 'images/nope/kernel' }, 'unknown-file']);
      expect(at(lines, ['base'])?.cause).toContain('missing image: "nope" is not in the boot table, so');
      expect(at(lines, ['nope'])?.cause).toContain('missing file: TFTP server');
      expect(explainJournal(lines, { who: 'n1', imager, now: 100_000 })?.cause).toContain('missing file');
    });

    test('and has been added since', () =>
      expect(at(heard, ['base'])?.advice).toEqual(['base has been added since: start the node again']));

    test('and none that is to be booted at all', () => {
      const why = 'no image to boot: no boot pointer is known, and the configuration has no boot.image';
      const lines = events(...lease(), [
        '2 tftp refused',
        { file: 'grub.cfg', message: why },
        'unknown-file',
      ]);
      expect(at(lines, ['base'])).toMatchObject({
        cause: `${why}; so TFTP server 10.77.0.1 has no grub.cfg for it`,
        advice: [expect.stringContaining('boot: { image: ... }'), 'there is: base'],
      });
    });

    test('the words are those of the menus', async () => {
      const lab = new MenuLab();
      const menus = await lab.open();
      lab.images = [];
      const because = 'image board is not in the boot table (boot.image of the node in the configuration)';
      expect(() => menus.find('boot.ipxe', { address: '10.77.0.12' })).toThrow(because);
      lab.close();
      menus.library.close();
      const lines = events(...lease(), [
        '2 tftp refused',
        { file: 'boot.ipxe', message: because },
        'unknown-file',
      ]);
      expect(at(lines, [])?.cause).toContain(
        'missing image: "board" is not in the boot table (boot.image of the node in the configuration), so',
      );
    });
  });

  test('a request without a name is one of /', () => {
    const lines = events(...lease(), [
      '2 http refused',
      { file: '', why: 'there is no such file' },
      'not-found',
    ]);
    const known = { files: ['a', 'images/a/kernel'] };
    expect(explainJournal(lines, { who: 'n1', imager, now: 100_000, known })).toMatchObject({
      cause: 'missing file: HTTP server 10.77.0.1 has no / (HTTP status 404, "there is no such file")',
      evidence: [expect.anything(), '/ was asked for and is not there: +2.00 s'],
      advice: [expect.stringContaining('put the file there')],
    });
    expect(eventRow(lines.at(-1)!, 0).what).toBe('refused (not-found) file=/ why=there is no such file');
  });

  test('what the imager says of itself is told where it could not open a file', () => {
    const lines = events(...lease(), [
      '2 http refused',
      { file: 'images/a/kernel', why: 'the file cannot be opened' },
      'unreadable',
    ]);
    const known = { files: [], images: ['a'], problems: ['image a is damaged: no kernel'] };
    expect(explainJournal(lines, { who: 'n1', imager, now: 100_000, known })).toMatchObject({
      cause: 'HTTP server 10.77.0.1 refuses images/a/kernel: HTTP status 500 "the file cannot be opened"',
      advice: ['the imager says: image a is damaged: no kernel', expect.anything()],
    });
  });

  test('nobody is nobody', () => expect(explainJournal([], { who: 'n1', imager, now: 0 })).toBeUndefined());
});

test('a client that asks for days', () => {
  const asks = Array.from({ length: 200_000 }, (_, i): RecordedEvent => {
    return {
      id: i + 1,
      at: i * 100,
      component: 'dhcp',
      step: 'discover',
      mac: '02:00:00:00:00:01',
      detail: i === 0 ? { arch: 7 } : {},
    };
  });
  const found = explainJournal(asks, { who: 'n1', imager: '10.77.0.1', now: 1e9 });
  expect(found?.cause).toContain('does not answer n1');
});
