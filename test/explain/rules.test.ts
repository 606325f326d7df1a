/** One failure after the other, as a capture tells it. */
import { describe, expect, test } from 'vitest';
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
import { BIOS, HTTP, IPXE, MAC, UEFI } from './clients.ts';

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
const proxied = ({ address: _a, subnet: _s, router: _r, ...rest }: Answer): Answer => rest;
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
      'an address asked of a proxy, which offered the boot file alone',
      [
        ask(0),
        proxied(answer(0.1)),
        ask(1, { type: 'request', server: SERVER }),
        ask(5, { type: 'request', server: SERVER }),
      ],
      'x86 BIOS (arch 0) asks 10.0.0.1 for an address, which offered none: it is a boot server beside the DHCP server',
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
