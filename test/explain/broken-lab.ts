/** Networks in which a node cannot boot, with a capture of its link. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InsideProcess } from '../../firmware-stubs/rig/inside.ts';
import { Lab } from '../../firmware-stubs/rig/lab.ts';
import type { RigNode } from '../../firmware-stubs/rig/node.ts';
import type { NetworkFirmware } from '../../firmware-stubs/rig/qemu.ts';
import { NodeShell } from '../service/lab.ts';

export const MAC = '52:54:00:77:00:21';
export const UID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f621';

export class BrokenLab {
  readonly lab: Lab;
  readonly dir: string;
  readonly #capture: InsideProcess;
  readonly #tcpdump: ChildProcess;
  #seen = '';

  private constructor(lab: Lab, dir: string, tcpdump: ChildProcess) {
    this.lab = lab;
    this.dir = dir;
    this.#tcpdump = tcpdump;
    this.#capture = new InsideProcess(tcpdump);
    tcpdump.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#seen += text;
    });
  }

  /** A lab without servers; everything on its bridge is captured from now on. */
  static async open(): Promise<BrokenLab> {
    const dir = await mkdtemp(join(tmpdir(), 'broken-'));
    const lab = await Lab.open({ dir });
    const file = join(dir, 'boot.pcap');
    const tcpdump = lab.space.spawn([
      'tcpdump',
      '-i',
      'br0',
      '-B',
      '16384',
      '-n',
      '-U',
      '--immediate-mode',
      '-l',
      '--print',
      '-w',
      file,
    ]);
    const made = new BrokenLab(lab, dir, tcpdump);
    let said = '';
    while (!said.includes('listening on')) said += String((await once(tcpdump.stderr!, 'data'))[0]);
    return made;
  }

  /** Router advertisements alone: without them iPXE waits for some for 16 seconds. */
  async routerAdvertisements(): Promise<void> {
    await this.lab.space.check(['ip', 'address', 'add', 'fd00:77::1/64', 'dev', 'br0', 'nodad']);
    await this.lab.space.check([
      ...['dnsmasq', '--conf-file=/dev/null', '--port=0', '--user=root', '--pid-file=', '--interface=br0'],
      ...['--bind-interfaces', '--leasefile-ro', '--log-facility=/dev/null', '--enable-ra'],
      ...['--dhcp-range=fd00:77::,ra-only,64', '--ra-param=br0,10,0'],
    ]);
  }

  /**
   * A DHCP server on a machine of its own, at 10.77.0.2, that knows nothing of booting. The node takes its offer: the
   * imager's is on the wire, and gets lost before it comes there.
   */
  async rogue(): Promise<void> {
    const shell = await NodeShell.open(this.lab.space, 'rogue', '52:54:00:77:00:02');
    const said = await shell.run(
      [
        'ip address add 10.77.0.2/24 dev eth0; dnsmasq --conf-file=/dev/null --port=0 --user=root --pid-file=',
        '--interface=eth0 --bind-interfaces --no-ping --leasefile-ro --log-facility=/dev/null',
        '--dhcp-range=10.77.0.200,10.77.0.220',
      ].join(' '),
    );
    if (said !== '') throw new Error(said);
    const lost = 'ether type ip udp sport 67 udp dport 68 drop';
    const chain = `type filter hook output priority 0; ${lost};`;
    await this.lab.space.check(['nft', '-f', '-'], {
      input: `table bridge t { chain leaving { ${chain} }; }\n`,
    });
  }

  async node(firmware: NetworkFirmware): Promise<RigNode> {
    const node = await this.lab.node({
      name: 'n1',
      rig: 'x86',
      firmware,
      mac: MAC,
      uid: UID,
      memoryMiB: 256,
    });
    await node.powerOn();
    return node;
  }

  /** Resolves once tcpdump has printed a line that matches, `times` over. */
  async seen(pattern: RegExp, times = 1): Promise<void> {
    const all = new RegExp(pattern, 'gm');
    while ([...this.#seen.matchAll(all)].length < times) await once(this.#tcpdump.stdout!, 'data');
  }

  /** Ends the capture and gives its bytes, with all that has passed by now. */
  async captured(): Promise<Uint8Array> {
    // What tcpdump has not read when it is told to end is lost; packets come to it in order.
    await this.lab.space.run(['ping', '-q', '-b', '-c', '1', '-W', '0.1', '10.77.0.255']);
    await this.seen(/ > 10\.77\.0\.255: ICMP echo request/);
    await this.#capture.end('SIGINT');
    return new Uint8Array(await readFile(join(this.dir, 'boot.pcap')));
  }

  async close(): Promise<void> {
    await this.lab.close();
    await rm(this.dir, { recursive: true, force: true });
  }
}
