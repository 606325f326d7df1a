/** What becomes of a node's adapters by its plan: the decision as a table, and on a board whose imager may not answer. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import {
  type AdapterChange,
  type AdapterState,
  adapterChanges,
  isRouteLost,
} from '../../agent/core/network.ts';
import { type Connection, HostError } from '../../agent/linux/host.ts';
import { type NetworkParts, networkSetter } from '../../agent/linux/network.ts';
import { isConnectedFrom } from '../../agent/linux/tcp-table.ts';
import type { AdapterSetting, Ipv4Settings } from '../../agent/protocol/adapter-setting.ts';
import { isAdapterMac } from '../../agent/protocol/mac.ts';
import { QuietHost } from '../fakes/quiet-host.ts';

const OWN = '52:54:00:77:00:11';
const SECOND = '52:54:00:77:00:99';
const SET = '02:00:00:77:00:50';
const FORMER = { address: '10.77.0.11', prefix: 24, gateway: '10.77.0.254' };
const NEXT = { address: '10.77.0.50', prefix: 24 };
const ELSEWHERE = { address: '192.0.2.7', prefix: 24, gateway: '192.0.2.1' };
const booted: AdapterState = { name: 'eth0', mac: OWN, network: FORMER };
const second = { name: 'eth1', mac: SECOND };

describe('which adapters are changed', () => {
  const eth0 = (to: Partial<AdapterState>) => ({ from: booted, to: { ...booted, ...to } });
  const eth1 = (to: Partial<AdapterState>) => ({
    from: second,
    to: { ...second, network: undefined, ...to },
  });
  test.each<[string, AdapterSetting[], object[], string[]]>([
    ['none', [], [], []],
    [
      'the one it booted over, whose gateway stays in reach',
      [{ network: NEXT }],
      [eth0({ network: { ...NEXT, gateway: FORMER.gateway } })],
      [],
    ],
    [
      'a gateway out of reach goes',
      [{ network: { ...NEXT, address: '10.78.0.5' } }],
      [eth0({ network: { ...NEXT, address: '10.78.0.5' } })],
      [],
    ],
    ['its MAC alone, by the one it has', [{ mac: OWN, setMac: SET }], [eth0({ mac: SET })], []],
    ['another one', [{ mac: SECOND, setMac: SET }], [eth1({ mac: SET })], []],
    [
      'another one, whose gateway takes the place of the first before it is there',
      [{ mac: SECOND, network: ELSEWHERE }],
      [eth0({ network: { address: FORMER.address, prefix: 24 } }), eth1({ network: ELSEWHERE })],
      [],
    ],
    [
      'both, in whatever order they are named',
      [{ mac: SECOND, network: ELSEWHERE }, { network: NEXT }],
      [eth0({ network: NEXT }), eth1({ network: ELSEWHERE })],
      [],
    ],
    ['none that is not here', [{ mac: SET, network: NEXT }], [], [`no adapter has the address ${SET}`]],
    [
      'the first word counts',
      [{ setMac: SET }, { mac: OWN, network: NEXT }],
      [eth0({ mac: SET })],
      ['eth0 is named twice'],
    ],
  ])('%s', (_what, settings, changes, faults) => {
    expect(adapterChanges(settings, [{ name: 'eth0', mac: OWN }, second], booted)).toEqual({
      changes,
      faults,
    });
  });
});

describe('a default route is lost', () => {
  const [without, elsewhere] = [
    { address: FORMER.address, prefix: 24 },
    { ...second, network: ELSEWHERE },
  ];
  const taken = { from: booted, to: { ...booted, network: without } };
  const given = { from: second, to: elsewhere };
  const unrouted = { from: { ...booted, network: without }, to: { ...booted, network: NEXT } };
  test.each<[string, AdapterChange[], AdapterChange[], boolean]>([
    ['where the one that takes it is not set', [taken, given], [taken], true],
    ['not where it is', [taken, given], [taken, given], false],
    ['not where the one that had it is as before', [taken, given], [], false],
    ['not where none was to have it', [taken], [taken], false],
    ['not where none had it', [unrouted, given], [unrouted], false],
  ])('%s', (_what, changes, done, lost) => {
    expect(isRouteLost(changes, done)).toBe(lost);
  });
});

test('an address for one adapter is neither a group nor zero', () => {
  const good = ['02:00:00:00:00:01', '52:54:00:ab:CD:ef', '00:00:00:00:00:10'];
  const bad = [
    '01:00:5e:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '00:00:00:00:00:00',
    '02-00-00-00-00-01',
    '2:0:0:0:0:1',
  ];
  expect([...good, ...bad].filter(isAdapterMac)).toEqual(good);
});

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (from: string, to: string, state: string) =>
  `   0: ${from} ${to} ${state} 00000000:00000000 00:00000000\n`;
test.each([
  ['attached', row('0B004D0A:9C40', '01004D0A:2A39', '01'), true],
  ['ended by the imager', row('0B004D0A:9C40', '01004D0A:2A39', '08'), false],
  ['from another address', row('32004D0A:9C40', '01004D0A:2A39', '01'), false],
  ['to another port', row('0B004D0A:9C40', '01004D0A:128B', '01'), false],
  ['none', '', false],
])('a disk of 10.77.0.11 in /proc/net/tcp: %s', (_what, rows, expected) => {
  const others = row('00000000:0050', '00000000:0000', '0A');
  expect(isConnectedFrom(HEAD + others + rows, '10.77.0.11', 10809)).toBe(expected);
});

type Answer = Awaited<ReturnType<NetworkParts['link']['renew']>>;

/** Whose test is over. */
const off = new WeakSet<Board>();

/** Two adapters, a clock that sleeping moves, and a TCP table. */
class Board extends QuietHost {
  now = 10;

  constructor() {
    super();
    onTestFinished(() => void off.add(this));
  }

  readonly macs = new Map([
    ['eth0', OWN],
    ['eth1', SECOND],
  ]);
  readonly calls: string[] = [];
  /** Rows of /proc/net/tcp. */
  attached = '';
  reachable = true;
  /** Called once, when a time has come. */
  later: { at: number; does: () => void } | undefined;

  override uptime(): number {
    return this.now;
  }

  override async sleep(milliseconds: number): Promise<void> {
    await setImmediate();
    if (off.has(this)) await new Promise(() => {});
    this.now += milliseconds / 1000;
    if (this.later !== undefined && this.now >= this.later.at) {
      this.later.does();
      this.later = undefined;
    }
  }

  override list(): string[] {
    return ['bonding_masters', ...this.macs.keys()];
  }

  override exists(path: string): boolean {
    return !path.includes('bonding_masters');
  }

  override readFile(path: string): Uint8Array {
    const mac = this.macs.get(path.split('/')[4] ?? '');
    return new TextEncoder().encode(path === '/proc/net/tcp' ? HEAD + this.attached : `${mac}\n`);
  }

  override setMac(name: string, mac: string): void {
    if (mac.startsWith('06')) throw new HostError('EADDRNOTAVAIL', `set hardware address of ${name}: no`);
    this.macs.set(name, mac);
    this.calls.push(`${name} ${mac}`);
  }

  override readdress(name: string, network: Ipv4Settings | undefined, kept?: string): void {
    const words = network && `${network.address}/${network.prefix} via ${network.gateway ?? '-'}`;
    this.calls.push(`${name} ${words ?? 'nothing'}${kept === undefined ? '' : ` beside ${kept}`}`);
  }

  override dropAddress(name: string, kept: string): void {
    this.calls.push(`${name} without ${kept}`);
  }

  override async connect(): Promise<Connection> {
    if (!this.reachable) throw new HostError('ETIMEDOUT', 'connect');
    this.calls.push('reached');
    return { write: async () => {}, read: async () => undefined, close: () => {} };
  }
}

function setterOf(board: Board, answers: Answer[], since: number | null = 1) {
  const reports: string[] = [];
  const link = {
    connectedSince: since ?? undefined,
    refusedSince: undefined as number | undefined,
    async renew(): Promise<Answer> {
      const answer = answers.shift() ?? 'unreachable';
      board.calls.push(answer);
      return answer;
    },
    report: (step: string, { why }: Record<string, unknown>) => void reports.push(`${step} ${why}`),
  };
  const booted = { ...FORMER, device: 'eth0', hostname: undefined };
  return { link, reports, ...networkSetter({ host: board, booted, link, imagers: ['10.77.0.1'] }) };
}

const MOVE: AdapterSetting[] = [{ setMac: SET, network: NEXT }];
const MOVED = [`eth0 ${SET}`, 'eth0 10.77.0.50/24 via 10.77.0.254 beside 10.77.0.11'];
const BACK = [`eth0 ${OWN}`, 'eth0 10.77.0.11/24 via 10.77.0.254'];
const AT_OWN = row('0B004D0A:9C40', '01004D0A:2A39', '01');

describe('on a board', () => {
  it('an address that is changed stays until the imager has the node, and the disk has moved', async () => {
    const board = new Board();
    board.attached = AT_OWN;
    board.later = {
      at: 12,
      does() {
        board.attached = '';
      },
    };
    const { set } = setterOf(board, ['unreachable', 'welcomed']);
    expect(await set(MOVE)).toEqual({
      set: [{ name: 'eth0', mac: SET, network: { ...NEXT, gateway: FORMER.gateway } }],
      faults: [],
    });
    expect(board.calls).toEqual([...MOVED, 'unreachable', 'welcomed']);
    await expect.poll(() => board.calls.at(-1)).toBe('eth0 without 10.77.0.11');
    expect(board.now).toBeGreaterThan(12);
  });

  it.each<[string, Answer[], number]>([
    ['no imager answers', [], 45],
    ['the imager refuses it there', ['unreachable', 'refused'], 1],
  ])('all is put back where %s', async (_what, answers, seconds) => {
    const board = new Board();
    const { set } = setterOf(board, answers);
    const { set: done, faults } = await set([
      ...MOVE,
      { mac: SECOND, network: { ...NEXT, address: '192.0.2.9' } },
    ]);
    expect(done).toEqual([]);
    expect(faults).toEqual([expect.stringContaining('its adapters are as the firmware left them')]);
    expect(board.calls.slice(-3).sort()).toEqual([...BACK, 'eth1 nothing'].sort());
    expect([...board.macs.values()]).toEqual([OWN, SECOND]);
    expect(board.now - 10).toBeLessThanOrEqual(seconds + 1);
    expect(board.now - 10).toBeGreaterThanOrEqual(seconds / 2);
  });

  it('all is put back, and said why, where the connection ends and the imager refuses the next', async () => {
    const board = new Board();
    const { set, link } = setterOf(board, []);
    board.later = {
      at: 12,
      does() {
        Object.assign(link, { connectedSince: undefined, refusedSince: board.now });
      },
    };
    expect((await set(MOVE)).faults).toEqual([expect.stringMatching(/^the imager refuses this node/)]);
    expect(board.calls.slice(-2)).toEqual(BACK);
    expect(board.now).toBeLessThan(14);
  });

  it('an adapter that does not come back keeps no other from it', async () => {
    const board = new Board();
    const { set } = setterOf(board, ['refused']);
    const setMac = board.setMac.bind(board);
    board.setMac = (name, mac) => {
      if (mac === SECOND) throw new HostError('EBUSY', `set hardware address of ${name}: busy`);
      setMac(name, mac);
    };
    await set([{ mac: SECOND, setMac: '02:00:00:77:00:51' }, ...MOVE]);
    expect(board.calls.slice(-2)).toEqual(BACK);
    expect(board.console).toEqual(['bootwright: set hardware address of eth1: busy']);
  });

  it('a MAC alone keeps its connections; others hear of it', async () => {
    const board = new Board();
    const { set } = setterOf(board, ['welcomed']);
    await set([{ setMac: SET }]);
    expect(board.calls).toEqual([`eth0 ${SET}`, 'eth0 10.77.0.11/24 via 10.77.0.254', 'welcomed']);
  });

  it('a connection that has been made since is proof enough', async () => {
    const board = new Board();
    const { set } = setterOf(board, [], 11);
    expect((await set([{ setMac: SET }])).faults).toEqual([]);
    expect(board.calls).not.toContain('unreachable');
  });

  it('a connection of that very tick may have been made before: it is made anew', async () => {
    const board = new Board();
    const { set } = setterOf(board, ['welcomed'], board.now);
    expect((await set([{ setMac: SET }])).faults).toEqual([]);
    expect(board.calls.at(-1)).toBe('welcomed');
  });

  it('what an adapter does not take leaves it as it was, and the others are set', async () => {
    const board = new Board();
    const { set } = setterOf(board, ['welcomed']);
    const outcome = await set([
      { setMac: '06:00:00:00:00:01', network: NEXT },
      { mac: SECOND, setMac: SET },
    ]);
    expect(outcome.faults).toEqual(['set hardware address of eth0: no']);
    expect(outcome.set.map(({ name, mac }) => [name, mac])).toEqual([['eth1', SET]]);
    expect([...board.macs.values()]).toEqual([OWN, SET]);
    expect(board.calls.at(-1)).toBe('welcomed');
  });

  it('all is put back where the adapter that was to have the default route does not take it', async () => {
    const board = new Board();
    const { set } = setterOf(board, ['welcomed']);
    const { set: done, faults } = await set([
      { mac: SECOND, setMac: '06:00:00:00:00:01', network: ELSEWHERE },
    ]);
    expect(done).toEqual([]);
    expect(faults).toEqual([
      'set hardware address of eth1: no',
      'the node would have no default route: its adapters are as the firmware left them',
    ]);
    expect(board.calls.filter((call) => call.startsWith('eth0'))).toEqual([
      'eth0 10.77.0.11/24 via -',
      'eth0 10.77.0.11/24 via 10.77.0.254',
    ]);
  });

  it('nothing is tried where all is so already', async () => {
    const board = new Board();
    const { set } = setterOf(board, []);
    expect(await set([{ network: FORMER }])).toEqual({ set: [booted], faults: [] });
    expect(board.calls).toEqual([]);
  });

  it('detached, it is enough that its disk can be reached; the imager that comes back is asked then', async () => {
    const board = new Board();
    board.attached = AT_OWN;
    const { set, link } = setterOf(board, ['welcomed'], null);
    expect((await set(MOVE)).faults).toEqual([]);
    expect(board.calls).toEqual([...MOVED, 'reached']);
    link.connectedSince = 1;
    board.attached = '';
    await expect.poll(() => board.calls.slice(-2)).toEqual(['welcomed', 'eth0 without 10.77.0.11']);
  });

  it('detached, with an imager that refuses it when it comes back, all is put back', async () => {
    const board = new Board();
    const { set, link, reports } = setterOf(board, [], null);
    // Where it was before does not count.
    link.refusedSince = 9;
    await set(MOVE);
    for (let looks = 0; looks < 10; looks++) await setImmediate();
    expect(board.calls).toEqual([...MOVED, 'reached']);
    link.refusedSince = board.now;
    await expect.poll(() => board.calls.slice(-2)).toEqual(BACK);
    expect(reports).toEqual([expect.stringMatching(/^network-failed the imager refuses/)]);
  });

  it('detached, and its disk out of reach, all is put back', async () => {
    const board = new Board();
    board.reachable = false;
    const { set } = setterOf(board, [], null);
    expect((await set(MOVE)).faults).toHaveLength(1);
    expect(board.calls.slice(-2)).toEqual(BACK);
  });

  it('never rejects', async () => {
    const board = new Board();
    board.list = () => {
      throw new HostError('EIO', 'list /sys/class/net');
    };
    expect(await setterOf(board, []).set(MOVE)).toEqual({ set: [], faults: ['list /sys/class/net'] });
  });
});
