/** Nodes that stand at the menu of their PXE firmware, picked from it, or went on to their own disk. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bootItemToBytes, menuToBytes } from '../../imager/dhcp/options/pxe-menu.ts';
import { textToBytes } from '../../imager/dhcp/options/values.ts';
import { attemptText } from '../../imager/explain/boots.ts';
import { explainCapture, explainJournal } from '../../imager/explain/explain.ts';
import type { Frame } from '../../imager/explain/frame.ts';
import { menuItems } from '../../imager/explain/pxe-menu.ts';
import { attemptsOf } from '../../imager/journal/attempts.ts';
import type { BootEvent, RecordedEvent } from '../../imager/journal/event.ts';
import { dhcpFrame as frame, NODE_MAC as MAC } from './dhcp-frame.ts';
import { pcap } from './write-capture.ts';

const IMAGER = '10.77.0.1';
const NODE = '10.77.0.11';
const WAITS = 'it shows its boot menu of 3 items and waits for a choice, or boots its own disk';

type Line = [string, BootEvent['detail']?, string?];

describe('from the journal', () => {
  /** `seconds component step`, detail, reason; `-` behind them: without an address. */
  const events = (lines: readonly Line[]): RecordedEvent[] =>
    lines.map(([text, detail, reason], i) => {
      const [at, component, step, none] = text.split(' ') as [
        string,
        BootEvent['component'],
        string,
        string?,
      ];
      return {
        ...{ id: i + 1, at: Number(at) * 1000, component, step, mac: MAC },
        ...(none === undefined ? { address: NODE } : {}),
        ...(detail === undefined ? {} : { detail }),
        ...(reason === undefined ? {} : { reason }),
      };
    });
  const cause = (lines: readonly Line[], now = 200) =>
    explainJournal(events(lines), { who: 'n1', imager: IMAGER, now: now * 1000 })?.cause;
  /** As `imager node boots` heads its attempts. */
  const outcomes = (lines: readonly Line[]) =>
    attemptsOf(events(lines), 1e8).map(
      (attempt) => attemptText(attempt, { who: 'n1', imager: IMAGER }).outcome,
    );

  const BIOS = { arch: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001', asked: '3,43,60,66,67' };
  const UEFI = { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003016', asked: '3,43,60,66,67' };
  const HTTP = { arch: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003016', asked: '3,66,67' };
  const SYSTEM = { vendorClass: 'udhcp 1.35.0', asked: '1,3,6,12,15,28,42' };
  const MENU = { menu: 3, file: 'ipxe/undionly.kpxe', server: IMAGER };
  const dhcp = (client: BootEvent['detail'], answer: BootEvent['detail'], from = 0): Line[] => [
    [`${from} dhcp discover -`, { ...client, subnet: '10.77.0.0/24' }],
    [`${from} dhcp offer`, answer],
    [`${from + 1} dhcp request`, client],
    [`${from + 1} dhcp ack`, answer],
  ];
  const server = dhcp(BIOS, MENU);
  /** Addresses are another server's: a BIOS ROM has the menu from the offer, UEFI from the ACK of port 4011. */
  const heard = { server: '10.77.0.5' };
  const proxyBios: Line[] = [
    ['0 dhcp discover -', BIOS],
    ['0 dhcp offer -', MENU],
    ['1 dhcp request', { ...BIOS, ...heard }, 'other-server'],
  ];
  const proxyUefi: Line[] = [
    ['0 dhcp discover -', UEFI],
    ['0 dhcp offer -', { file: 'ipxe/snponly.efi', server: IMAGER }],
    ['1 dhcp request', { ...UEFI, ...heard }, 'other-server'],
    ['2 dhcp request', UEFI],
    ['2 dhcp ack', { ...MENU, file: 'ipxe/snponly.efi' }],
  ];
  const nothing = 'no boot.image is configured';

  test.each<[string, Line[]]>([
    ['that has its address of the imager', server],
    ['where nothing is booted without the menu', dhcp(BIOS, { menu: 3, why: nothing })],
    ['whose menu has a file of a wrong kind for who shows none', dhcp(UEFI, MENU)],
    ['whose files are beyond a router that is not there', dhcp(BIOS, { ...MENU, server: '10.9.0.1' })],
    ['BIOS beside another server', proxyBios],
    ['UEFI beside another server', proxyUefi],
  ])('a node at its menu: %s', (_who, lines) => {
    expect(cause(lines)).toBe(WAITS);
    expect(outcomes(lines)).toEqual([`stopped at dhcp: ${WAITS}`]);
  });

  test('is booting at first, whatever there is without the menu', () => {
    expect(cause(dhcp(BIOS, { menu: 3, why: nothing }), 3)).toBe(
      'it is booting: nothing has gone wrong so far',
    );
  });

  test('one item is no items', () =>
    expect(cause(dhcp(BIOS, { ...MENU, menu: 1 }))).toContain('its boot menu of 1 item and'));

  test.each<[string, Line[]]>([
    ['that has its address of the imager', server],
    ['beside another server', proxyUefi],
  ])('an item that the menu does not have: %s', (_who, lines) => {
    const no: Line[] = [...lines, ['9 dhcp request', { ...BIOS, item: 0x8003, layer: 0 }, 'no-boot-item']];
    const words =
      'the imager does not answer n1: its boot menu has no such item as it asks for (item 0x8003)';
    expect(cause(no)).toBe(words);
    expect(outcomes(no)).toEqual([`stopped at dhcp: ${words}`]);
    // It asks what there is, without a word of an item, and waits again.
    expect(cause([...no, ['19 dhcp request', UEFI], ['19 dhcp ack', MENU]])).toBe(WAITS);
  });

  test('an item there is nothing for', () =>
    expect(
      cause([...server, ['9 dhcp request', { ...BIOS, item: 'Usual', why: nothing }, 'no-boot-file']]),
    ).toBe(`the imager does not answer n1: there is no boot file for it (item Usual: ${nothing})`));

  test('an item that was answered and whose file was never asked for', () => {
    const file = 'images/rescue/start';
    for (const lines of [server, proxyBios, proxyUefi])
      expect(
        cause([...lines, ['9 dhcp request', BIOS], ['9 dhcp ack', { file, item: 'Rescue', server: IMAGER }]]),
      ).toBe(
        `blocked port: the node was told to load ${file}, and no request for it reached UDP port 69 of ${IMAGER}`,
      );
  });

  test('firmware that shows no menu and loads the file beside it', () => {
    const lines: Line[] = [...server, ['2 tftp refused', { file: 'ipxe/undionly.kpxe' }, 'unknown-file']];
    const found = explainJournal(events(lines), { who: 'n1', imager: IMAGER, now: 1e6 });
    expect(found?.evidence[0]).toBe('10.77.0.1 told it to load ipxe/undionly.kpxe from 10.77.0.1: +1.00 s');
  });

  test('an item whose file is not there', () => {
    const lines: Line[] = [
      ...[...proxyUefi, ['9 dhcp request', UEFI] as Line],
      ['9 dhcp ack', { file: 'a.efi', item: 'Rescue', server: IMAGER }],
      ['10 tftp refused', { file: 'a.efi' }, 'unknown-file'],
    ];
    expect(cause(lines)).toContain('missing file: TFTP server 10.77.0.1 has no a.efi');
  });

  describe('the local disk', () => {
    const disk =
      'it showed its boot menu of 3 items and boots its own disk: the system on that asks for an address since';
    const plain = { file: 'ipxe/undionly.kpxe', server: IMAGER };

    test('was picked soon, or after hours', () => {
      for (const at of [20, 7200])
        expect(cause([...server, ...dhcp(SYSTEM, plain, at)], at + 100)).toBe(disk);
      const kept: Line[] = [
        ['20 dhcp request', SYSTEM],
        ['20 dhcp ack', plain],
      ];
      expect(cause([...server, ...kept])).toBe(disk);
    });

    test('was picked, and its system asks again for days', () => {
      const days = [7200, 14_400, 90_000].flatMap((at) => dhcp(SYSTEM, plain, at));
      expect(cause([...server, ...days], 1e5)).toBe(disk);
    });

    test('is not what comes to an agent', () => {
      const agent = dhcp(SYSTEM, plain, 7200);
      expect(cause([...server, ...agent, ['7204 agent hello'], ['7210 agent ready']], 1e5)).toBe(
        'all well: ready 10.0 s after its first packet',
      );
    });

    test('and what the firmware was not answered before', () =>
      expect(cause([['0 dhcp discover -', BIOS, 'pool-exhausted'], ...dhcp(SYSTEM, plain, 20)])).toBe(
        'the imager does not answer n1: all addresses of the pool are taken',
      ));

    test('is no failure of the system on it, seen by itself', () =>
      expect(outcomes([...server, ...dhcp(SYSTEM, plain, 7200)])).toEqual([
        `stopped at dhcp: ${WAITS}`,
        'stopped at dhcp: a running system (udhcp 1.35.0) asks for its address, and no boot firmware: it booted from its own disk',
      ]));

    test('of a node without a menu hides nothing of what its firmware failed at', () =>
      expect(cause([...dhcp(BIOS, plain), ...dhcp(SYSTEM, plain, 20)])).toContain(
        'blocked port: the node was told to load ipxe/undionly.kpxe',
      ));
  });

  test('what firmware tries next is judged by itself', () =>
    expect(cause([...server, ...dhcp(HTTP, { why: nothing }, 30)])).toContain(
      'no boot file: 10.77.0.1 gave x86-64 UEFI, HTTP boot (arch 16)',
    ));
});

describe('from a capture', () => {
  const NORMAL = { name: 'As always', boot: 'normal' as const };
  const LOCAL = { name: 'Local disk', boot: 'local' as const };
  const items = [NORMAL, { name: 'Rescue', boot: { file: 'images/rescue/nbi.0' } }, LOCAL];
  const menu = menuToBytes({ prompt: 'F8', seconds: 255, items }, IMAGER);
  const item = bootItemToBytes({ type: 0x8001, layer: 0 });
  const PXE = {
    60: textToBytes('PXEClient:Arch:00000:UNDI:002001'),
    93: Uint8Array.of(0, 0),
    55: Uint8Array.of(43, 67),
  };
  const answer = (type: number, option43?: Uint8Array) => ({
    53: Uint8Array.of(type),
    54: Uint8Array.of(10, 77, 0, 1),
    60: textToBytes('PXEClient'),
    ...(option43 === undefined ? {} : { 43: option43 }),
  });
  const [DISCOVER, OFFER, REQUEST, ACK] = [1, 2, 3, 5];
  const leased = (option43 = menu): Frame[] => [
    frame(0, 67, { options: { ...PXE, 53: Uint8Array.of(DISCOVER) } }),
    frame(0.1, 68, { yiaddr: NODE, file: 'usual.0', options: answer(OFFER, option43) }),
    frame(1, 67, { options: { ...PXE, 53: Uint8Array.of(REQUEST), 54: Uint8Array.of(10, 77, 0, 1) } }),
    frame(1.1, 68, { yiaddr: NODE, file: 'usual.0', options: answer(ACK, option43) }),
  ];
  const asksItem = frame(1.2, 4011, {
    ciaddr: NODE,
    options: { ...PXE, 53: Uint8Array.of(REQUEST), 43: item },
  });
  const later = frame(90, 67, {
    options: { 53: Uint8Array.of(DISCOVER), 55: Uint8Array.of(1, 3, 6) },
    mac: '02:00:00:00:00:02',
  });
  const told = (...frames: Frame[]) => {
    const { clients } = explainCapture(
      pcap(
        frames.map((each, i) => ({ ...each, number: i + 1 })),
        { little: true },
      ),
    );
    return clients.find(({ who }) => who === MAC)!;
  };

  test('a node at its menu', () => {
    const { cause, evidence, course } = told(...leased(), later);
    expect(cause).toBe(WAITS);
    expect(evidence[0]).toBe('10.77.0.1 sent it the menu: packet 4 (+1.10 s)');
    expect(course.map(({ what }) => what)).toContain(
      'ACK, 10.77.0.11, menu of 3 items, boot file usual.0 from 10.77.0.1',
    );
  });

  test.each([
    ['discovery is off', Uint8Array.of(6, 1, 8, ...menu.subarray(3))],
    ['there are no items', Uint8Array.of(6, 1, 7, 10, 2, 0, 65, 255)],
    ['there is nobody to ask, and no prompt', Uint8Array.of(9, 4, 0x80, 0, 1, 65, 255)],
    ['it is cut short', menu.subarray(0, 40)],
  ])('no menu where %s', (_why, bytes) =>
    expect(told(...leased(bytes), later).cause).toContain('was told to load usual.0 and asked nobody'),
  );

  test('whatever is in option 43', () => {
    const counted = (bytes: Uint8Array) => menuItems(new Map([[43, bytes]])) ?? 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 255 }), (bytes) => {
        // Each item has three bytes, and the tags around them.
        expect(counted(bytes)).toBeLessThanOrEqual(bytes.length / 3);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...items), { minLength: 1, maxLength: 8 }), (some) => {
        expect(counted(menuToBytes({ prompt: '', seconds: 0, items: some }, IMAGER))).toBe(some.length);
      }),
    );
  });

  test("another vendor's option 43 is no menu", () => {
    const frames = leased().map((each) => ({ ...each, bytes: each.bytes.slice() }));
    for (const { bytes } of frames) {
      const at = Buffer.from(bytes).indexOf(Buffer.from([60, 9, ...textToBytes('PXEClient')]));
      if (at >= 0) bytes.set(textToBytes('VXEClient'), at + 2);
    }
    expect(told(...frames, later).cause).toContain('was told to load usual.0 and asked nobody');
  });

  test('an item that nobody answers for', () => {
    const { cause, course } = told(...leased(), asksItem, later);
    expect(cause).toBe(
      'no answer about its boot menu: the node asked for item 0x8001 and no boot server answered',
    );
    expect(course.at(-1)?.what).toBe('REQUEST, arch 0, item 0x8001');
  });

  test('an item that was answered: its file counts, not what is loaded without the menu', () => {
    const reply = frame(1.3, 68, { file: 'images/rescue/nbi.0', options: answer(ACK, item) });
    expect(told(...leased(), asksItem, reply, later).cause).toBe(
      'x86 BIOS (arch 0) was told to load images/rescue/nbi.0 and asked nobody for it',
    );
  });

  test('UEFI that asks for the menu and at once for an item of it', () => {
    const [discover, , request] = leased();
    const bare = (seconds: number, type: number) =>
      frame(seconds, 68, {
        yiaddr: NODE,
        options: { 53: Uint8Array.of(type), 54: Uint8Array.of(10, 77, 0, 5) },
      });
    const asks = frame(1.12, 4011, { ciaddr: NODE, options: { ...PXE, 53: Uint8Array.of(REQUEST) } });
    const shows = frame(1.15, 68, { options: answer(ACK, menu) });
    const before = [discover!, bare(0.1, OFFER), request!, bare(1.1, ACK), asks, shows];
    expect(told(...before, later).cause).toBe(WAITS);
    const reply = frame(1.25, 68, { file: 'a.0', options: answer(ACK, item) });
    expect(told(...before, asksItem, later).cause).toContain(
      'the node asked for item 0x8001 and no boot server',
    );
    expect(told(...before, asksItem, reply, later).cause).toContain('was told to load a.0 and asked nobody');
  });

  test('a menu and no boot file is an offer that PXE firmware takes', () => {
    const [discover] = leased();
    const offer = frame(0.1, 68, { yiaddr: NODE, options: answer(OFFER, menu) });
    expect(told(discover!, offer, later).cause).toMatch(
      /^offered but never requested: .* took no offer of 10\.77\.0\.1$/,
    );
  });
});
