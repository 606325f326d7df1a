/** What a host changes of an interface, on both runtimes, as the kernel shows it: in a network namespace of its own. */
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { NetworkNamespace } from '../../../firmware-stubs/rig/namespace.ts';
import { RUNTIMES, type Runtime } from '../../support/agent-process.ts';
import { bundle } from '../../support/inside.ts';
import { staticProgram } from '../../support/static-program.ts';
import type { Calls } from './calls.ts';

const programs = new Map<Runtime, string[]>();
beforeAll(async () => {
  programs.set('quickjs', [await staticProgram({ entry: 'test/agent/host/programs/calls.ts' })]);
  programs.set('node', [process.execPath, await bundle('test/agent/host/programs/node-calls.ts')]);
}, 120_000);

/** A network with an interface, and at the other end of its cable p0. */
async function networkWith(name: string): Promise<NetworkNamespace> {
  const space = await NetworkNamespace.open();
  onTestFinished(() => space.close());
  for (const words of [`link add ${name} type veth peer name p0`, 'link set p0 up', `link set ${name} up`])
    await space.check(['ip', ...words.split(' ')]);
  return space;
}

/** Makes the calls there, in one process; the code of each that failed, else null. */
async function made(space: NetworkNamespace, runtime: Runtime, ...calls: Calls): Promise<(string | null)[]> {
  return JSON.parse(await space.check([...programs.get(runtime)!, JSON.stringify(calls)]));
}

const FORMER = '10.9.0.1';
const NEXT = { address: '10.9.0.50', prefix: 24, gateway: '10.9.0.253' };
const SET = '02:00:00:00:00:50';

it.each(RUNTIMES)(
  'on %s MAC, address and default route are what they are set to, and the former address stays for as long as it is kept',
  async (runtime) => {
    const space = await networkWith('t0');
    const calls = (...all: Calls) => made(space, runtime, ...all);
    const shown = async (...words: string[]) =>
      JSON.parse(await space.check(['ip', '-j', '-4', ...words])) as Record<string, unknown>[];
    const addresses = async () => {
      const [link] = await shown('address', 'show', 'dev', 't0');
      const all = (link?.addr_info ?? []) as { local: string; prefixlen: number }[];
      return all.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort();
    };
    const gateways = async () => (await shown('route', 'show', 'default')).map(({ gateway }) => gateway);
    expect(await calls(['configureInterface', 't0', FORMER, 24, '10.9.0.254'])).toEqual([null]);

    expect(await calls(['setMac', 't0', SET], ['readdress', 't0', NEXT, FORMER])).toEqual([null, null]);
    expect((await shown('link', 'show', 'dev', 't0'))[0]).toMatchObject({ address: SET });
    expect(await addresses()).toEqual([`${FORMER}/32`, `${NEXT.address}/24`]);
    expect(await gateways()).toEqual([NEXT.gateway]);
    // What is connected from now on is from the new one, near and far; what is from the former can still leave.
    for (const to of ['10.9.0.77', '192.0.2.1'])
      expect(await shown('route', 'get', to)).toMatchObject([{ prefsrc: NEXT.address }]);
    expect(await shown('route', 'get', '10.9.0.77', 'from', FORMER)).toMatchObject([{ dev: 't0' }]);

    expect(await calls(...Array<Calls[0]>(2).fill(['dropAddress', 't0', FORMER]))).toEqual([null, null]);
    expect(await addresses()).toEqual([`${NEXT.address}/24`]);
    expect(await gateways()).toEqual([NEXT.gateway]);
    expect(await calls(['readdress', 't0', { address: FORMER, prefix: 24 }])).toEqual([null]);
    expect([await addresses(), await gateways()]).toEqual([[`${FORMER}/24`], []]);
    expect(await calls(['readdress', 't0', null])).toEqual([null]);
    expect([await addresses(), await gateways()]).toEqual([[], []]);

    const failures = await calls(['setMac', 't0', '01:00:5e:00:00:01'], ['setMac', 'none', SET]);
    expect(failures).toEqual(runtime === 'node' ? ['EIO', 'EIO'] : ['EADDRNOTAVAIL', 'ENODEV']);
    expect((await shown('link', 'show', 'dev', 't0'))[0]).toMatchObject({ address: SET });
  },
);

it('who is near hears of an address, and of one that is kept', async () => {
  const space = await networkWith('t0');
  const capture = space.spawn(['tcpdump', '-l', '-n', '-e', '-i', 'p0', '-c', '2', 'arp']);
  const heard = text(capture.stdout!);
  await once(capture.stderr!, 'data');
  await made(
    space,
    'quickjs',
    ['configureInterface', 't0', FORMER, 24],
    ['setMac', 't0', SET],
    ['readdress', 't0', NEXT, FORMER],
  );
  // RFC 5227 section 3: sender and target are the address that is announced.
  expect((await heard).trim().split('\n')).toEqual(
    [NEXT.address, FORMER].map((address) =>
      expect.stringMatching(`${SET} > ff:ff:ff:ff:ff:ff.*(Announcement|who-has ${address} tell) ${address}`),
    ),
  );
});

it('a name that leaves no room for a label is not taken for another', async () => {
  const space = await networkWith('enx020000000050');
  const refused = await made(space, 'quickjs', ['readdress', 'enx020000000050', NEXT, FORMER]);
  expect(refused).toEqual(['ENAMETOOLONG']);
});
