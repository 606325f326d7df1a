/** Menus of PXE firmware: option 43 byte for byte, who is shown one, and what is told of an item. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideBootServer } from '../../imager/dhcp/boot-server.ts';
import { type DhcpMessage, decodeMessage, encodeMessage } from '../../imager/dhcp/codec.ts';
import type { DhcpConfig, PxeMenu } from '../../imager/dhcp/config.ts';
import { decide } from '../../imager/dhcp/decide.ts';
import type { Decision } from '../../imager/dhcp/decision.ts';
import { bootItemToBytes, itemOf, menuToBytes, readBootItem } from '../../imager/dhcp/options/pxe-menu.ts';
import { decideProxy } from '../../imager/dhcp/proxy.ts';
import { asking, N1, outcome, request, SERVER, text, world } from './fakes.ts';

const MENU: PxeMenu = {
  prompt: 'F8?',
  seconds: 10,
  items: [
    { name: 'Rescue', boot: { file: 'images/rescue/nbi.0' } },
    { name: 'Disk', boot: 'local' },
    { name: 'Usual', boot: 'normal' },
  ],
};
/** PXE specification 2.1, tables 2-1 and 2-3. */
const MENU_BYTES = Uint8Array.of(
  ...[6, 1, 0b0111], // PXE_DISCOVERY_CONTROL: no broadcast, no multicast, listed servers only
  ...[8, 14], // PXE_BOOT_SERVERS
  ...[0x80, 0x00, 1, 10, 77, 0, 1], // type, count, address
  ...[0x80, 0x02, 1, 10, 77, 0, 1],
  ...[9, 24], // PXE_BOOT_MENU
  ...[0x80, 0x00, 6, ...text('Rescue')], // type, length, description
  ...[0, 0, 4, ...text('Disk')], // type 0: the local disk, of no server
  ...[0x80, 0x02, 5, ...text('Usual')],
  ...[10, 4, 10, ...text('F8?')], // PXE_MENU_PROMPT: seconds, text
  255, // PXE_END
);
const ITEM = (type: number, layer = 0) => bootItemToBytes({ type, layer });

describe('option 43', () => {
  test('a menu', () => {
    expect(menuToBytes(MENU, SERVER)).toEqual(MENU_BYTES);
  });

  test('an item that is asked for', () => {
    expect(ITEM(0x8002, 1)).toEqual(Uint8Array.of(71, 4, 0x80, 0x02, 0, 1, 255));
    const read = (...bytes: number[]) => readBootItem(new Map([[43, Uint8Array.of(...bytes)]]));
    expect(read(71, 4, 0x80, 0x02, 0, 1, 255)).toEqual({ type: 0x8002, layer: 1 });
    // Behind padding and other tags, and without an end.
    expect(read(0, 0, 6, 1, 8, 71, 4, 0, 5, 0, 0)).toEqual({ type: 5, layer: 0 });
    for (const bytes of [
      [],
      [71],
      [71, 4, 1, 2, 3],
      [71, 2, 1, 2, 255],
      [255, 71, 4, 1, 2, 3, 4],
      [9, 200, 71],
    ])
      expect(read(...bytes)).toBeUndefined();
    expect(readBootItem(new Map())).toBeUndefined();
  });

  test('whatever a menu holds can be read as PXE firmware reads it, and each item found again', () => {
    const line = fc.string({
      unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    });
    const boot = fc.oneof(fc.constantFrom('normal' as const, 'local' as const), fc.record({ file: line }));
    const menus = fc.record({
      prompt: line,
      seconds: fc.integer({ min: 0, max: 255 }),
      items: fc.array(fc.record({ name: line, boot }), { minLength: 1, maxLength: 24 }),
    });
    fc.assert(
      fc.property(menus, (menu) => {
        let bytes: Uint8Array;
        try {
          bytes = menuToBytes(menu, SERVER);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        const tags = triples(bytes);
        expect([...tags.keys()]).toEqual([6, 8, 9, 10]);
        const lines = [];
        for (let at = 0, shown = tags.get(9)!; at < shown.length; at += 3 + shown[at + 2]!)
          lines.push({
            type: shown[at]! * 256 + shown[at + 1]!,
            name: latin(shown.subarray(at + 3, at + 3 + shown[at + 2]!)),
          });
        expect(lines.map(({ name }) => name)).toEqual(menu.items.map(({ name }) => name));
        lines.forEach(({ type }, index) => {
          const item = menu.items[index]!;
          expect(type === 0).toBe(item.boot === 'local');
          expect(itemOf(menu, { type, layer: 0 })).toBe(item.boot === 'local' ? undefined : item);
        });
        const servers = tags.get(8)!;
        expect(servers.length).toBe(7 * lines.filter(({ type }) => type !== 0).length);
        expect(latin(tags.get(10)!.subarray(1))).toBe(menu.prompt);
      }),
    );
  });
});

function triples(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  let at = 0;
  for (; bytes[at] !== 255; at += 2 + bytes[at + 1]!)
    found.set(bytes[at]!, bytes.subarray(at + 2, at + 2 + bytes[at + 1]!));
  expect(at).toBe(bytes.length - 1);
  return found;
}

function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

const PXE = { 60: text('PXEClient:Arch:00000:UNDI:002001'), 93: Uint8Array.of(0, 0) };
const UEFI = { 60: text('PXEClient:Arch:00007:UNDI:003016'), 93: Uint8Array.of(0, 7) };
const CONFIG: Partial<DhcpConfig> = { bootFile: () => ({ file: 'usual.0' }), menu: () => MENU };
const ADDRESS = '10.77.0.11';
const SENDER = { address: ADDRESS, port: 68 };

const served = (config: Partial<DhcpConfig> = {}) =>
  world({ reservations: [N1], config: { ...CONFIG, ...config } });

/** The reply as it leaves. */
function sent(decision: Decision): DhcpMessage {
  if (decision.kind !== 'reply') throw new Error(outcome(decision));
  const { bytes, omitted } = encodeMessage(decision.message, decision.limit);
  expect(omitted).toEqual([]);
  return decodeMessage(bytes);
}

describe('who is shown a menu', () => {
  test.each([
    ['a BIOS ROM', PXE],
    ['UEFI', UEFI],
  ])('%s that has its address of us: in OFFER and ACK', (_who, options) => {
    const offer = decide(request('discover', {}, options), served());
    expect(sent(offer).options.get(43)).toEqual(MENU_BYTES);
    expect(offer).toMatchObject({ detail: { file: 'usual.0', menu: 3 } });
    const ack = decide(request('request', {}, { ...options, ...asking(ADDRESS, SERVER) }), served());
    expect(sent(ack).options.get(43)).toEqual(MENU_BYTES);
    expect(sent(ack).options.get(60)).toEqual(text('PXEClient'));
  });

  test('a BIOS ROM, by a proxy: in the OFFER', () => {
    const offer = decideProxy(request('discover', {}, PXE), served());
    expect(sent(offer).options.get(43)).toEqual(MENU_BYTES);
    expect(offer).toMatchObject({ detail: { menu: 3 } });
  });

  test('UEFI, by a proxy: at port 4011, since its releases ignore offers that have option 43', () => {
    const offer = decideProxy(request('discover', {}, UEFI), served());
    expect(sent(offer).options.has(43)).toBe(false);
    expect(offer).not.toMatchObject({ detail: { menu: 3 } });
    const ack = decideProxy(request('request', { ciaddr: ADDRESS }, UEFI), served(), SENDER);
    expect(sent(ack).options.get(43)).toEqual(MENU_BYTES);
    expect(ack).toMatchObject({ step: 'ack', to: SENDER, detail: { menu: 3 } });
  });

  test('also where there is nothing to boot without it', () => {
    const bare = served({ bootFile: () => ({ why: 'nothing' }) });
    for (const offer of [
      decide(request('discover', {}, PXE), bare),
      decideProxy(request('discover', {}, PXE), bare),
    ])
      expect(sent(offer)).toMatchObject({ file: '' });
    const message = request('discover', {}, PXE);
    expect(sent(decide(message, bare)).options.get(43)).toEqual(MENU_BYTES);
  });

  test.each([
    ['an operating system', {}, {}, undefined],
    ['HTTP boot', { 60: text('HTTPClient:Arch:00016:UNDI:003001') }, {}, undefined],
    ['whom the configuration shows none', PXE, { menu: () => undefined }, Uint8Array.of(6, 1, 8, 255)],
    [
      "who has the operator's own option 43",
      PXE,
      { options: [{ code: 43, value: text('own') }] },
      text('own'),
    ],
  ])('not %s', (_who, options, config, expected) => {
    expect(sent(decide(request('discover', {}, options), served(config))).options.get(43)).toEqual(expected);
  });

  test('the server address of the list is ours even where files are loaded from another', () => {
    const reply = sent(decide(request('discover', {}, PXE), served({ nextServer: '10.77.0.9' })));
    expect(reply).toMatchObject({ siaddr: '10.77.0.9' });
    expect(reply.options.get(43)).toEqual(MENU_BYTES);
  });
});

describe('an item that is asked for', () => {
  const asks = (
    item: Uint8Array,
    config: Partial<DhcpConfig> = {},
    options: Record<number, Uint8Array> = PXE,
  ) =>
    decideBootServer(
      request('request', { ciaddr: ADDRESS }, { ...options, 43: item }),
      served(config),
      SENDER,
      () => [],
    );

  test('a file: the whole message', () => {
    const decision = asks(ITEM(0x8000));
    expect(decision).toMatchObject({
      to: SENDER,
      changes: [],
      detail: { file: 'images/rescue/nbi.0', item: 'Rescue', server: SERVER },
    });
    const { options, ...fields } = sent(decision);
    expect(fields).toMatchObject({
      ciaddr: ADDRESS,
      yiaddr: '0.0.0.0',
      siaddr: SERVER,
      file: 'images/rescue/nbi.0',
    });
    expect([...options]).toEqual([
      [53, Uint8Array.of(5)],
      [54, Uint8Array.of(10, 77, 0, 1)],
      [60, text('PXEClient')],
      [43, ITEM(0x8000)],
      [66, text(SERVER)],
      [67, text('images/rescue/nbi.0')],
    ]);
  });

  test('UEFI asks and is told in the same way', () => {
    expect(sent(asks(ITEM(0x8000), {}, UEFI)).options.get(43)).toEqual(ITEM(0x8000));
  });

  test('what it boots without the menu', () => {
    expect(asks(ITEM(0x8002))).toMatchObject({ detail: { file: 'usual.0', item: 'Usual' } });
    expect(asks(ITEM(0x8002), { bootFile: () => ({ why: 'nothing for it' }) })).toMatchObject({
      reason: 'no-boot-file',
      subject: { detail: { item: 'Usual', why: 'nothing for it' } },
    });
  });

  test.each([
    ['of no line', ITEM(0x8003)],
    ['of the local disk', ITEM(0)],
    ['under the place of the local disk', ITEM(0x8001)],
    ['of another vendor', ITEM(5)],
    ['of a later layer', ITEM(0x8000, 1)],
    ['with signatures', ITEM(0x8000, 0x8000)],
  ])('%s is not answered, as table 2-1 has it, and told', (_what, item) => {
    expect(asks(item)).toMatchObject({
      kind: 'silence',
      reason: 'no-boot-item',
      subject: { node: 'n1', detail: { item: expect.any(Number), layer: expect.any(Number) } },
    });
  });

  test('who asks for none is told what it boots without the menu, and shown it', () => {
    const reply = sent(asks(Uint8Array.of(255)));
    expect(reply).toMatchObject({ file: 'usual.0' });
    expect(reply.options.get(43)).toEqual(MENU_BYTES);
  });
});
