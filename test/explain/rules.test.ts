/** One failure after the other, as a capture and as the journal tell it. */
import { describe, expect, test } from 'vitest';
import { explainJournal } from '../../imager/explain/explain.ts';
import type {
  Answer,
  ArpQuestion,
  Ask,
  Observation,
  Transfer,
  Unreachable,
} from '../../imager/explain/observation.ts';
import { RULES } from '../../imager/explain/rules.ts';
import { lastBoot, storyOf } from '../../imager/explain/story.ts';
import { eventRow } from '../../imager/explain/timeline.ts';
import type { BootEvent, RecordedEvent } from '../../imager/journal/event.ts';
import { MenuLab } from '../menus/world.ts';

const MAC = '52:54:00:00:00:01';
const BIOS = { arch: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001' };
const UEFI = { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003000' };
const HTTP = { arch: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000' };
const IPXE = { ...BIOS, userClass: 'iPXE' };
const SERVER = '10.0.0.1';

/** Observations of a capture; times in seconds, a packet each. */
let packets = 0;
const seen = (at: number) => ({ at: at * 1000, packet: ++packets });
const ask = (at: number, rest: Partial<Ask> = {}): Ask => ({
  ...seen(at),
  ...{ kind: 'ask', type: 'discover', mac: MAC, options: BIOS, asked: [3, 66, 67] },
  ...rest,
});
const answer = (at: number, rest: Partial<Answer> = {}): Answer => ({
  ...seen(at),
  ...{ kind: 'answer', type: 'offer', mac: MAC, server: SERVER, address: '10.0.0.11', subnet: '10.0.0.0/24' },
  ...{ router: '10.0.0.254', file: 'start.pxe', nextServer: SERVER },
  ...rest,
});
const transfer = (at: number, rest: Partial<Transfer> = {}): Transfer => ({
  ...seen(at),
  ...{ kind: 'transfer', protocol: 'tftp', file: 'start.pxe', server: SERVER, port: 69, end: 'done' },
  ...{ requests: 1, lastAt: at * 1000, bytes: 70_000, size: 70_000 },
  ...rest,
});
const arp = (at: number, target: string, answered = false): ArpQuestion => ({
  ...seen(at),
  ...{ kind: 'arp', target, requests: 4, answered },
});
const icmp = (at: number, rest: Partial<Unreachable> = {}): Unreachable => ({
  ...seen(at),
  ...{ kind: 'unreachable', by: SERVER, code: 3, to: SERVER, port: 69, protocol: 'udp' },
  ...rest,
});
const leased = (rest: Partial<Answer> = {}, options = BIOS): Observation[] => [
  ask(0, { options }),
  answer(0.1, rest),
  ask(1, { type: 'request', server: SERVER, options }),
  answer(1.1, { type: 'ack', ...rest }),
];
const without = ({ router: _r, file: _f, nextServer: _n, ...rest }: Answer): Answer => rest;

function cause(observations: Observation[], endAt = 60_000): string {
  const story = storyOf(lastBoot(observations, endAt).boot, { who: MAC, source: 'capture', endAt });
  for (const rule of RULES) {
    const finding = rule(story);
    if (finding === undefined) continue;
    expect(finding.cause).not.toMatch(/undefined|\n/);
    expect([...finding.evidence, ...finding.advice].join()).not.toContain('undefined');
    return finding.cause;
  }
  return 'no rule';
}

describe('from a capture', () => {
  test.each<[string, Observation[], string]>([
    [
      'no answer',
      [ask(0), ask(4), ask(12)],
      'no DHCP answer at all: 52:54:00:00:00:01 asked 3 times and nobody offered',
    ],
    [
      'offers without a file to a ROM',
      [ask(0), without(answer(0.1)), ask(4), without(answer(4.1))],
      'offered but never requested: x86 BIOS (arch 0) took no offer of 10.0.0.1: PXE firmware takes no offer without',
    ],
    [
      'a path to an HTTP client',
      [ask(0, { options: HTTP }), answer(0.1), ask(4, { options: HTTP }), answer(4.1)],
      'offered but never requested: x86-64 UEFI, HTTP boot (arch 16) took no offer of 10.0.0.1: HTTP boot takes an offer with a URL alone',
    ],
    [
      'no acknowledgement',
      [
        ask(0),
        answer(0.1),
        ask(1, { type: 'request', server: SERVER }),
        ask(5, { type: 'request', server: SERVER }),
      ],
      'DHCP server 10.0.0.1 offered 10.0.0.11 and does not answer the request for it',
    ],
    [
      'a NAK',
      [
        ask(0),
        answer(0.1),
        ask(1, { type: 'request', address: '10.9.9.9' }),
        answer(1.1, { type: 'nak', reason: 'wrong network' }),
      ],
      'DHCP server 10.0.0.1 refuses the address 10.9.9.9: wrong network',
    ],
    [
      'two servers',
      [ask(0), answer(0.1, { server: '10.0.0.2', address: '10.0.0.90' }), ...leased().slice(1)],
      "second DHCP server on the wire: 10.0.0.2 and 10.0.0.1 both give addresses, and the node took 10.0.0.1's",
    ],
    [
      'nothing to load',
      [...leased().map((each) => (each.kind === 'answer' ? without(each) : each))],
      'no boot file: 10.0.0.1 gave x86 BIOS (arch 0) the address 10.0.0.11 and nothing to load',
    ],
    [
      'a file nobody asked for',
      leased(),
      'x86 BIOS (arch 0) was told to load start.pxe and asked nobody for it',
    ],
    [
      'an EFI file for a BIOS, by its name',
      leased({ file: 'snponly.efi' }),
      'wrong boot file for this firmware: x86 BIOS (arch 0) was told to load snponly.efi, which is an EFI program by its name; it needs a BIOS boot program',
    ],
    [
      'a 32-bit file, by its content',
      [...leased({ file: 'boot.efi' }, UEFI), transfer(2, { file: 'boot.efi', content: 'efi-ia32' })],
      'wrong boot file for this firmware: x86-64 UEFI (arch 7) was told to load boot.efi, which is a 32-bit x86 EFI program; it needs an .efi file for x86-64 UEFI',
    ],
    [
      'no route',
      [
        ...leased({ nextServer: '10.9.0.1' }).map((each) => {
          if (each.kind !== 'answer') return each;
          const { router: _, ...rest } = each;
          return rest;
        }),
        arp(2, '10.9.0.1'),
      ],
      "no route to the TFTP server: 10.9.0.1 is not in the node's network 10.0.0.0/24, and no router was offered (option 3)",
    ],
    [
      'a server that is off',
      [...leased(), arp(2, SERVER)],
      "boot server 10.0.0.1 is not there: nobody answers for its address on the node's link (ARP)",
    ],
    [
      'a router that is off',
      [...leased({ nextServer: '10.9.0.1' }), arp(2, '10.0.0.254')],
      "router 10.0.0.254, the way to 10.9.0.1, is not there: nobody answers for its address on the node's link (ARP)",
    ],
    [
      'no TFTP server on the machine',
      [...leased(), arp(2, SERVER, true), transfer(2, { end: 'unanswered', requests: 3 }), icmp(2.1)],
      'nothing listens on UDP port 69 of 10.0.0.1: it answers "port unreachable" (ICMP)',
    ],
    [
      'a host behind a router that says no',
      [
        ...leased({ nextServer: '10.9.0.1' }),
        transfer(2, { server: '10.9.0.1', end: 'unanswered' }),
        icmp(2.1, { code: 1, by: '10.0.0.254', to: '10.9.0.1' }),
      ],
      '10.9.0.1 cannot be reached: 10.0.0.254 says "host unreachable" (ICMP)',
    ],
    [
      'a blocked port',
      [...leased(), arp(2, SERVER, true), transfer(2, { end: 'unanswered', requests: 5, lastAt: 30_000 })],
      'blocked port: TFTP server 10.0.0.1 answers nothing on UDP port 69',
    ],
    [
      'an HTTP server that is not running',
      [
        ...leased({ file: 'http://10.0.0.1:8080/a' }),
        transfer(2, { protocol: 'http', file: '', port: 8080, end: 'unanswered', reset: true }),
      ],
      'nothing listens on TCP port 8080 of 10.0.0.1: it resets the connection',
    ],
    [
      'a missing file, with one like it',
      [
        ...leased(),
        transfer(2),
        transfer(3, { file: 'Start.cfg', end: 'refused', code: 1, reason: 'File not found' }),
      ],
      'missing file: TFTP server 10.0.0.1 has no Start.cfg (TFTP error 1, "File not found")',
    ],
    [
      'HTTP status 404',
      [
        ...leased({ file: 'http://10.0.0.1/a' }),
        transfer(2, {
          protocol: 'http',
          port: 80,
          file: '/a',
          end: 'refused',
          code: 404,
          reason: 'Not Found',
        }),
      ],
      'missing file: HTTP server 10.0.0.1 has no /a (HTTP status 404, "Not Found")',
    ],
    [
      'HTTP status 301',
      [
        ...leased({ file: 'http://10.0.0.1//a' }),
        transfer(2, { protocol: 'http', port: 80, file: '//a', end: 'refused', code: 301, reason: 'Moved' }),
      ],
      'HTTP server 10.0.0.1 refuses //a: HTTP status 301 "Moved"',
    ],
    [
      'options refused by the server',
      [...leased(), transfer(2, { end: 'refused', code: 8, reason: 'blksize' })],
      'option negotiation refused: TFTP server 10.0.0.1 does not take the options the node asks for with start.pxe',
    ],
    [
      'options refused by the node',
      [...leased(), transfer(2, { end: 'declined', code: 8, reason: 'bad OACK' })],
      'option negotiation refused: the node does not take the options that TFTP server 10.0.0.1 answers for start.pxe',
    ],
    [
      'a stalled transfer',
      [...leased(), transfer(2, { end: 'open', bytes: 29_360, lastAt: 5000 })],
      'transfer stalled: start.pxe from TFTP server 10.0.0.1 stopped at byte 29360 of 70000',
    ],
    [
      'a program that hangs',
      [...leased(), transfer(2)],
      'the boot file was loaded and nothing followed: x86 BIOS (arch 0) rejected start.pxe, or the program hangs',
    ],
    [
      'a kernel without an agent',
      [
        ...leased({}, IPXE),
        transfer(2, { file: 'images/a/kernel' }),
        transfer(3, { file: 'images/a/initrd' }),
      ],
      'the kernel was loaded and the agent never spoke: images/a/kernel and images/a/initrd came whole, then nothing',
    ],
    [
      'a node that comes to its disk',
      [...leased(), transfer(2), { ...seen(9), kind: 'disk', step: 'connected', detail: {} }],
      'all well as far as the capture goes',
    ],
  ])('%s', (_name, observations, expected) => expect(cause(observations)).toContain(expected));

  test('a capture that ends where the node goes on says so', () => {
    const loaded = [...leased({}, IPXE), transfer(2, { file: 'kernel' })];
    expect(cause(loaded, 4000)).toMatch(/came whole, then nothing \(the capture ends there\)$/);
    expect(cause(loaded, 60_000)).toMatch(/came whole, then nothing$/);
    expect(cause([...leased(), transfer(2)], 4000)).toMatch(
      /or the program hangs \(the capture ends there\)$/,
    );
  });

  describe('where the capture ends while the client may wait or go on, nothing is said for good', () => {
    const discover = ask(0);
    const offered = [ask(0), answer(0.1)];
    const requested = [...offered, ask(1, { type: 'request', server: SERVER })];
    const fileless = leased().map((each) => (each.kind === 'answer' ? without(each) : each));
    const first = (requests: number) => ({ ...arp(1.2, SERVER), requests });

    test.each<[string, Observation[], number, string, string]>([
      [
        'a DISCOVER',
        [discover],
        0,
        'nobody has answered 52:54:00:00:00:01, which asked once (the capture ends there)',
        'no DHCP answer at all: 52:54:00:00:00:01 asked 1 time and nobody offered an address',
      ],
      [
        'an offer',
        offered,
        0.1,
        'offered and not requested yet: x86 BIOS (arch 0) took no offer of 10.0.0.1 (the capture ends there)',
        'offered but never requested: x86 BIOS (arch 0) took no offer of 10.0.0.1',
      ],
      [
        'an offer that will not do',
        [ask(0), without(answer(0.1))],
        0.1,
        'offered and not requested yet: x86 BIOS (arch 0) took no offer of 10.0.0.1 (the capture ends there)',
        'offered but never requested: x86 BIOS (arch 0) took no offer of 10.0.0.1: PXE firmware takes no offer without a boot file',
      ],
      [
        'a REQUEST',
        requested,
        1,
        'DHCP server 10.0.0.1 offered 10.0.0.11 and has not answered the request for it (the capture ends there)',
        'DHCP server 10.0.0.1 offered 10.0.0.11 and does not answer the request for it',
      ],
      [
        'an ACK',
        leased(),
        1.1,
        'x86 BIOS (arch 0) was told to load start.pxe and has not asked for it yet (the capture ends there)',
        'x86 BIOS (arch 0) was told to load start.pxe and asked nobody for it',
      ],
      [
        'an ACK without a file',
        fileless,
        1.1,
        'no boot file: 10.0.0.1 gave x86 BIOS (arch 0) the address 10.0.0.11 and nothing to load (the capture ends there)',
        'no boot file: 10.0.0.1 gave x86 BIOS (arch 0) the address 10.0.0.11 and nothing to load',
      ],
      [
        'an ARP request',
        [...leased(), first(1)],
        1.2,
        'x86 BIOS (arch 0) was told to load start.pxe and has not asked for it yet (the capture ends there)',
        "boot server 10.0.0.1 is not there: nobody answers for its address on the node's link (ARP)",
      ],
    ])('%s', (_name, observations, end, open, firm) => {
      expect(cause(observations, end * 1000)).toBe(open);
      expect(cause(observations, end * 1000 + 4900)).toBe(open);
      expect(cause(observations, end * 1000 + 5100)).toBe(firm);
    });

    test('but of who has asked again', () => {
      expect(cause([discover, ask(4)], 4000)).toContain('asked 2 times and nobody offered');
      expect(cause([...offered, ask(4)], 4000)).toContain('offered but never requested');
      const again = ask(5, { type: 'request', server: SERVER });
      expect(cause([...requested, again], 5000)).toContain('does not answer the request for it');
      expect(cause([...leased(), first(2)], 1200)).toContain('nobody answers for its address');
    });

    test('iPXE looks for an IPv6 router before it goes on', () => {
      const yet = /has not asked for it yet \(the capture ends there\)$/;
      expect(cause(leased({}, IPXE), 1100 + 16_000)).toMatch(yet);
      expect(cause(leased({}, IPXE), 1100 + 21_000)).toMatch(/asked nobody for it$/);
    });
  });

  describe('a request without an answer', () => {
    const silent = (at: number, rest: Partial<Transfer> = {}) =>
      transfer(at, { end: 'unanswered', bytes: 0, ...rest });
    const sized = transfer(2, { end: 'declined', code: 8, reason: 'User aborted the transfer', bytes: 0 });
    const web = { protocol: 'http', port: 8080 } as const;

    test('is open where the capture ends there', () => {
      const open = 'TFTP server 10.0.0.1 has not answered the request for start.pxe (the capture ends there)';
      expect(cause([...leased(), sized, silent(2.1)], 2100)).toBe(open);
      expect(cause([...leased(), silent(2.1)], 2100)).toBe(open);
      expect(cause([...leased(), sized, silent(2.1, { requests: 3, lastAt: 3000 })], 4000)).toBe(open);
      expect(cause([...leased(), silent(2.1, { ...web, file: '' })], 2100)).toBe(
        'HTTP server 10.0.0.1:8080 has not answered the request for a connection (the capture ends there)',
      );
    });

    test('that was made again and again is a blocked port, wherever the capture ends', () => {
      const again = silent(2.1, { requests: 3, lastAt: 2900 });
      expect(cause([...leased(), again], 2900)).toBe(
        'blocked port: TFTP server 10.0.0.1 answers nothing on UDP port 69',
      );
    });

    test('of a port that answered in this boot is no blocked port', () => {
      const again = silent(2.1, { requests: 3, lastAt: 8000 });
      expect(cause([...leased(), sized, again])).toBe(
        'TFTP server 10.0.0.1 answers no more: nothing came back for start.pxe, and it had answered before in this boot',
      );
      const loader = [ask(3, { options: IPXE }), answer(3.1), answer(4.1, { type: 'ack' })];
      expect(cause([...leased(), transfer(2), ...loader, { ...again, at: 5000 }])).toContain(
        'answers no more',
      );
      expect(cause([...leased(), transfer(2, web), silent(3, { ...web, file: '' })])).toBe(
        'HTTP server 10.0.0.1:8080 answers no more: nothing came back for a connection, and it had answered before in this boot',
      );
    });

    test('of another port or machine than answered is one', () => {
      const other = silent(3, { server: '10.0.0.2' });
      expect(cause([...leased(), sized, other])).toBe(
        'blocked port: TFTP server 10.0.0.2 answers nothing on UDP port 69',
      );
      expect(cause([...leased(), transfer(2), silent(3, { ...web, file: '' })])).toBe(
        'blocked port: HTTP server 10.0.0.1:8080 answers nothing on TCP port 8080',
      );
    });

    test('on a connection that was taken is no blocked port', () =>
      expect(cause([...leased(), silent(3, { ...web, file: '/a', connected: true })])).toBe(
        'HTTP server 10.0.0.1:8080 took the connection, and nothing came back for /a',
      ));
  });

  test('a request other than GET is told with its method', () => {
    const posted = { protocol: 'http', port: 80, file: '/a', method: 'POST', end: 'refused' } as const;
    const at = (rest: Partial<Transfer>) => cause([...leased(), transfer(2, { ...posted, ...rest })]);
    expect(at({ code: 405, reason: 'Method Not Allowed' })).toBe(
      'HTTP server 10.0.0.1 refuses POST /a: HTTP status 405 "Method Not Allowed"',
    );
    expect(at({ code: 404, reason: 'Not Found' })).toBe(
      'HTTP server 10.0.0.1 refuses POST /a: HTTP status 404 "Not Found"',
    );
  });

  test('a size asked for first is no failure', () => {
    const declined = transfer(2, { end: 'declined', code: 8, reason: 'User aborted the transfer', bytes: 0 });
    expect(cause([...leased({ file: 'x.efi' }, UEFI), declined, transfer(3, { file: 'x.efi' })])).toContain(
      'the boot file was loaded and nothing followed',
    );
  });

  test('what a loader fails at counts, not the ROM that fetched it', () => {
    const rom = [...leased(), transfer(2)];
    const loader = [
      ask(3, { options: IPXE }),
      answer(3.1),
      ask(4, { type: 'request', server: SERVER, options: IPXE }),
    ];
    const ack = answer(4.1, { type: 'ack', file: 'a.ipxe' });
    const missing = transfer(5, { file: 'a.ipxe', end: 'refused', code: 1, reason: '' });
    expect(cause([...rom, ...loader, ack, missing])).toContain('has no a.ipxe');
  });

  test('what firmware tries after a failure does not hide it', () => {
    const pxe = [...leased({}, UEFI), transfer(2, { end: 'refused', code: 1, reason: 'gone' })];
    expect(cause([...pxe, ask(4, { options: HTTP }), answer(4.1)])).toContain('missing file');
  });
});

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

  test.each<[string, Parameters<typeof events>, string]>([
    [
      'a stranger without a pool',
      [['0 dhcp discover', BIOS, 'unknown-client']],
      'the imager does not answer n1: the configuration has no such node and there is no pool of addresses',
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
      'an offer of another server taken',
      [...lease().slice(0, 2), ['1 dhcp request', { ...BIOS, chosen: '10.77.0.5' }, 'other-server']],
      "second DHCP server on the wire: 10.77.0.1 and 10.77.0.5 both give addresses, and the node took 10.77.0.5's",
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
      [...lease({}, IPXE), ['2 http transfer-end', kernel]],
      'the kernel was loaded and the agent never spoke: images/a/kernel without an initrd',
    ],
    [
      'an agent that gave up',
      [
        ...lease(),
        ['2 http transfer-end', kernel],
        ['8 agent hello'],
        ['9 agent failed', { why: 'no disk d1' }],
      ],
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
      [...lease(), ['2 http transfer-end', kernel], ['8 agent hello'], ['14 agent ready']],
      'all well: ready 14.0 s after its first packet',
    ],
  ])('%s', (_name, lines, expected) => {
    const found = explainJournal(events(...lines), { who: 'n1', imager, now: 100_000 });
    expect(found?.cause).toContain(expected);
    expect(found?.course.length).toBeGreaterThan(0);
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
  ])('beside another DHCP server: %s', (_name, lines, expected) => {
    const heard = events(...lines).map(({ address, ...event }) =>
      event.step === 'request' ? { ...event, address: address! } : event,
    );
    const found = explainJournal(heard, { who: 'n1', imager, now: 100_000 });
    expect(found?.cause).toContain(expected);
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

  test('asking for the size of a file first is no failure', () => {
    const sized = events(...lease(), ['2 tftp transfer-failed', { file: 'start.pxe', bytes: 0 }, 'declined']);
    const found = explainJournal(sized, { who: 'n1', imager, now: 4000 });
    expect(found?.cause).toBe('it is booting: nothing has gone wrong so far');
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
      const kernel: Parameters<typeof events>[0] = ['3 http transfer-end', { file: 'kernel', bytes: 9 }];
      const damaged: Parameters<typeof events>[0] = ['21 http refused', { file: 'a' }, 'unreadable'];
      const found = at(22_000, events(...lease(), kernel), again, events(damaged));
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
