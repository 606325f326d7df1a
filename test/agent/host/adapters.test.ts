/** What a host changes of an interface, on both runtimes, as the kernel shows it: in a network namespace of its own. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentArch, buildAgent } from '../../../agent/quickjs/build.ts';
import { NetworkNamespace } from '../../../firmware-stubs/rig/namespace.ts';
import type { Calls } from './calls.ts';

const ARCH: AgentArch = process.arch === 'arm64' ? 'arm64' : 'amd64';
const folder = mkdtempSync(join(tmpdir(), 'bootwright-adapters-'));
const programs = { quickjs: [join(folder, 'calls')], node: [process.execPath, join(folder, 'calls.mjs')] };

beforeAll(async () => {
  await buildAgent({ arch: ARCH, out: programs.quickjs[0]!, entry: 'test/agent/host/programs/calls.ts' });
  const script = `import { NodeHost } from './agent/node/host.ts';
    import { made } from './test/agent/host/calls.ts';
    console.log(JSON.stringify(made(new NodeHost(), JSON.parse(process.argv[2]))));`;
  await build({
    ...{ stdin: { contents: script, resolveDir: process.cwd(), loader: 'ts' }, bundle: true },
    ...{ platform: 'node', format: 'esm', outfile: programs.node[1]!, logLevel: 'silent' },
  });
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An interface, and at the other end of its cable p0. */
async function pair(space: NetworkNamespace, name: string): Promise<void> {
  for (const words of [`link add ${name} type veth peer name p0`, 'link set p0 up', `link set ${name} up`])
    await space.check(['ip', ...words.split(' ')]);
}

const FORMER = '10.9.0.1';
const NEXT = { address: '10.9.0.50', prefix: 24, gateway: '10.9.0.253' };
const SET = '02:00:00:00:00:50';

describe.each(['quickjs', 'node'] as const)('on %s', (runtime) => {
  it('MAC, address and default route are what they are set to, and the former address stays for as long as it is kept', async () => {
    const space = await NetworkNamespace.open();
    try {
      const calls = async (...all: Calls): Promise<(string | null)[]> =>
        JSON.parse(await space.check([...programs[runtime], JSON.stringify(all)])) as (string | null)[];
      const shown = async (...words: string[]) =>
        JSON.parse(await space.check(['ip', '-j', '-4', ...words])) as Record<string, unknown>[];
      const addresses = async () => {
        const [link] = await shown('address', 'show', 'dev', 't0');
        const all = (link?.addr_info ?? []) as { local: string; prefixlen: number }[];
        return all.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort();
      };
      const gateways = async () => (await shown('route', 'show', 'default')).map(({ gateway }) => gateway);
      await pair(space, 't0');
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
    } finally {
      await space.close();
    }
  });
});

it('who is near hears of an address, and of one that is kept', async () => {
  const space = await NetworkNamespace.open();
  try {
    await pair(space, 't0');
    const capture = space.spawn(['tcpdump', '-l', '-n', '-e', '-i', 'p0', '-c', '2', 'arp']);
    const heard = text(capture.stdout!);
    await once(capture.stderr!, 'data');
    const calls: Calls = [
      ['configureInterface', 't0', FORMER, 24],
      ['setMac', 't0', SET],
      ['readdress', 't0', NEXT, FORMER],
    ];
    await space.check([...programs.quickjs, JSON.stringify(calls)]);
    // RFC 5227 section 3: sender and target are the address that is announced.
    expect((await heard).trim().split('\n')).toEqual(
      [NEXT.address, FORMER].map((address) =>
        expect.stringMatching(
          `${SET} > ff:ff:ff:ff:ff:ff.*(Announcement|who-has ${address} tell) ${address}`,
        ),
      ),
    );
  } finally {
    await space.close();
  }
});

it('a name that leaves no room for a label is not taken for another', async () => {
  const space = await NetworkNamespace.open();
  try {
    await pair(space, 'enx020000000050');
    const calls: Calls = [['readdress', 'enx020000000050', NEXT, FORMER]];
    const seen = await space.check([...programs.quickjs, JSON.stringify(calls)]);
    expect(JSON.parse(seen)).toEqual(['ENAMETOOLONG']);
  } finally {
    await space.close();
  }
});
