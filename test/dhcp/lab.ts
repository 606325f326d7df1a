/**
 * A wire for real DHCP clients: a namespace with a bridge that has the server's address, and one more namespace for
 * each client, joined by a veth pair. Everything ends with the lab.
 */
import type { ChildProcess } from 'node:child_process';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import type { DhcpConfig } from '../../imager/dhcp/config.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { bundle, startInside } from '../support/inside.ts';
import type { FixedReservation } from './fakes.ts';

export interface ServeSettings {
  pool?: { from: string; to: string };
  reservations?: FixedReservation[];
  leaseSeconds?: number;
  /** What else the server is told, as far as JSON carries it. */
  config?: Partial<Omit<DhcpConfig, 'bootFile' | 'options'>>;
  /** Where LMDB keeps the registry; in memory without it. */
  directory?: string;
}

export interface RunningServer {
  child: ChildProcess;
  /** The line it announced itself with. */
  ready: string;
  events(): BootEvent[];
  /** The first event, past or to come, that `matches`. */
  event(matches: (event: BootEvent) => boolean): Promise<BootEvent>;
  /** Ends it with `signal` and resolves when it is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  output(): string;
}

export class Lab {
  readonly space: NetworkNamespace;
  #clients = 0;

  private constructor(space: NetworkNamespace) {
    this.space = space;
  }

  static async open(): Promise<Lab> {
    const space = await NetworkNamespace.open();
    const script = [
      'ip link add br0 type bridge stp_state 0 forward_delay 0',
      'ip addr add 10.77.0.1/24 dev br0',
      'ip link set br0 up',
    ];
    await space.check(['sh', '-ec', script.join('\n')]);
    return new Lab(space);
  }

  async serve(settings: ServeSettings): Promise<RunningServer> {
    const program = await bundle('test/dhcp/programs/serve.ts');
    const { child, ready, output } = await startInside(this.space, program, [JSON.stringify(settings)]);
    const events = () =>
      output()
        .split('\n')
        .slice(0, -1)
        .filter((line) => line.startsWith('event '))
        .map((line) => JSON.parse(line.slice(6)) as BootEvent);
    return {
      child,
      ready,
      output,
      events,
      event: (matches) =>
        new Promise((resolve) => {
          const look = () => {
            const found = events().find(matches);
            if (found === undefined) return;
            child.stdout?.off('data', look);
            resolve(found);
          };
          child.stdout?.on('data', look);
          look();
        }),
      stop: async (signal) => {
        // The child is nsenter; the signal has to reach the program under it.
        const gone = new Promise((resolve) => child.once('close', resolve));
        await this.space.check(['kill', `-${signal.slice(3)}`, programPid(output())]);
        await gone;
      },
    };
  }

  /** A namespace on the wire with the interface eth0 of this MAC, up and without an address. */
  async client(mac: string, bridge = 'br0'): Promise<LabClient> {
    this.#clients += 1;
    return LabClient.open(this.space, `peer${this.#clients}`, mac, { bridge });
  }

  /** The same on a bridge inside another client's namespace, which is the only way from there to the lab's wire. */
  async behind(gateway: LabClient, mac: string, bridge: string): Promise<LabClient> {
    this.#clients += 1;
    const peer = `peer${this.#clients}`;
    const client = await LabClient.open(this.space, peer, mac, { within: gateway.pid });
    await gateway.run(`ip link set ${peer} master ${bridge} up`);
    return client;
  }

  close(): Promise<void> {
    return this.space.close();
  }
}

/** Its process id as it sees it itself: inside the namespace. */
function programPid(output: string): string {
  return /^pid (\d+)$/m.exec(output)?.[1] ?? '';
}

/** A shell in a network namespace of its own that runs one script after the other. */
export class LabClient {
  /** Process id of its shell inside the lab. */
  pid = '';
  readonly #shell: ChildProcess;
  #output = '';
  #runs = 0;

  private constructor(shell: ChildProcess) {
    this.#shell = shell;
    shell.stdout?.on('data', (chunk) => {
      this.#output += chunk;
      shell.emit('output');
    });
    shell.once('exit', () => shell.emit('output'));
  }

  /** `at`: a bridge of the lab, or the namespace that gets the other end, by a process in it. */
  static async open(
    space: NetworkNamespace,
    peer: string,
    mac: string,
    at: { bridge: string } | { within: string },
  ): Promise<LabClient> {
    const shell = space.spawn(['unshare', '--net', 'sh'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const client = new LabClient(shell);
    client.pid = (await client.run('echo $$')).trim();
    const far = 'within' in at ? `netns ${at.within}` : '';
    await space.check([
      'sh',
      '-ec',
      `ip link add ${peer} ${far} type veth peer name eth0 address ${mac} netns ${client.pid}
       ${'bridge' in at ? `ip link set ${peer} master ${at.bridge} up` : ''}`,
    ]);
    await client.run('ip link set lo up; ip link set eth0 up');
    return client;
  }

  /** Runs a script to its end and gives what it printed, error output included. */
  async run(script: string): Promise<string> {
    this.#runs += 1;
    const mark = `__end of run ${this.#runs} `;
    this.#shell.stdin?.write(`{ ${script}\n} 2>&1 </dev/null\necho "${mark}"\n`);
    while (!this.#output.includes(mark)) {
      if (this.#shell.exitCode !== null) throw new Error(`client ended:\n${this.#output}`);
      await new Promise((resolve) => this.#shell.once('output', resolve));
    }
    const [output, rest] = this.#output.split(`${mark}\n`);
    this.#output = rest ?? '';
    return output!;
  }
}
