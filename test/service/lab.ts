/** An imager of its own in a network namespace, with its files, and its command line from outside. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NetworkNamespace } from '../../firmware-stubs/rig/namespace.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';
import { startInside } from '../support/inside.ts';
import { asKernel } from '../support/kernels.ts';
import { ask } from '../support/served.ts';

export const CONFIG = `state: ./state
cluster: demo
network: { address: 10.77.0.1, prefix: 24, pool: { from: 10.77.0.100, to: 10.77.0.199 }, router: 10.77.0.1 }
boot: { image: base }
nodes:
  - { name: node1, mac: "52:54:00:77:00:01", address: 10.77.0.11, hostname: web1, userConfig: web }
  - { name: node2, mac: "52:54:00:77:00:02", address: 10.77.0.12, power: { on: [sh, -c, "echo on >> power.log"], off: [sh, -c, "echo off >> power.log"] } }
  - { name: node3, mac: "52:54:00:77:00:03", address: 10.77.0.13, power: { on: [sh, -c, "echo no such outlet >&2; exit 4"] } }
  - { name: pooled, mac: "52:54:00:77:00:04" }
userConfigs:
  web:
    secondReboot: true
    scripts: [{ name: 10-site.sh, stage: 1, content: "echo site" }]
    services: { init: [/sbin/init], ports: [80] }
`;

export class ServiceLab {
  readonly space: NetworkNamespace;
  readonly dir: string;
  readonly config: string;
  readonly #program: string;
  #child: ChildProcess | undefined;
  #log: () => string = () => '';

  private constructor(space: NetworkNamespace, program: string) {
    this.space = space;
    this.#program = program;
    this.dir = mkdtempSync(join(tmpdir(), 'service-'));
    this.config = join(this.dir, 'imager.yaml');
    writeFileSync(this.config, CONFIG);
    writeFileSync(join(this.dir, 'kernel'), asKernel('amd64', Buffer.alloc(700_000, 'kernel')));
    writeFileSync(join(this.dir, 'initrd'), Buffer.alloc(90_000, 'initrd'));
    writeFileSync(join(this.dir, 'root.img'), Buffer.alloc(4 * 1024 * 1024, 'base'));
  }

  static async open(): Promise<ServiceLab> {
    const [space, program] = await Promise.all([NetworkNamespace.open(), imagerProgram()]);
    await space.check([
      'sh',
      '-ec',
      'ip link add br0 type bridge forward_delay 0; ip address add 10.77.0.1/24 dev br0; ip link set br0 up',
    ]);
    return new ServiceLab(space, program);
  }

  /** Starts the imager; gives its ready line. */
  async serve(config = this.config): Promise<string> {
    const started = await startInside(this.space, this.#program, [
      'serve',
      '--config',
      config,
      '--log-level',
      'debug',
    ]);
    this.#child = started.child;
    this.#log = started.output;
    return started.ready;
  }

  /** Signals the imager and waits for its end. */
  async stop(signal: 'TERM' | 'INT' | 'KILL'): Promise<number | null> {
    const child = this.#child!;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await this.signal(signal);
    return ended;
  }

  async signal(signal: 'TERM' | 'INT' | 'KILL'): Promise<void> {
    await this.space.check(['kill', `-${signal}`, this.pid()]);
  }

  /** Resolves once the imager has logged `text`. */
  async logged(text: string): Promise<void> {
    const { stderr } = this.#child!;
    while (!this.#log().includes(text)) await once(stderr!, 'data');
  }

  /** Process id of the imager inside the namespace. */
  pid(): string {
    return /\d+/.exec(readFileSync(join(this.dir, 'state/lock'), 'utf8'))?.[0] ?? '';
  }

  /** What the imager printed and logged. */
  log(): string {
    return this.#log();
  }

  /** The command line, from outside the namespace. */
  imager(...args: string[]): Promise<Ended> {
    return this.run([...args, '--config', this.config]);
  }

  /** Arguments with which Node runs the command line. */
  command(args: string[]): string[] {
    return [this.#program, ...args];
  }

  run(args: string[]): Promise<Ended> {
    return runVerb(args, { cwd: this.dir });
  }

  /** The JSON a verb prints; throws what it complains about. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.imager(...args, '--json');
    if (code !== 0) throw new Error(`imager ${args.join(' ')}: exit ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** The control API itself. */
  async ask(path: string, body: object): Promise<{ status: number; error?: string }> {
    const { status, text } = await ask({ socketPath: join(this.dir, 'state/control.sock'), path }, body);
    return { ...JSON.parse(text), status };
  }

  async close(): Promise<void> {
    await this.space.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A node of the tests: a shell in a network namespace of its own, its eth0 on the imager's bridge. */
export class NodeShell {
  readonly #shell: ChildProcess;
  #output = '';
  #scripts = 0;

  private constructor(shell: ChildProcess) {
    this.#shell = shell;
    shell.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
      shell.emit('more');
    });
    shell.once('exit', () => shell.emit('more'));
  }

  static async open(space: NetworkNamespace, port: string, mac: string): Promise<NodeShell> {
    const shell = space.spawn(['unshare', '--net', 'sh'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const node = new NodeShell(shell);
    const pid = (await node.run('echo $$')).trim();
    const link = `ip link add ${port} type veth peer name eth0 address ${mac} netns ${pid}`;
    await space.check(['sh', '-ec', `${link}; ip link set ${port} master br0 up`]);
    await node.run('ip link set lo up; ip link set eth0 up');
    return node;
  }

  /** Runs a script to its end; gives what it printed on both outputs. */
  async run(script: string): Promise<string> {
    const end = `-- end of script ${++this.#scripts} --\n`;
    this.#shell.stdin?.write(`{ ${script}\n} 2>&1 </dev/null\nprintf '%s' '${end}'\n`);
    while (!this.#output.includes(end)) {
      if (this.#shell.exitCode !== null) throw new Error(`the shell ended:\n${this.#output}`);
      await once(this.#shell, 'more');
    }
    const [output = '', rest = ''] = this.#output.split(end);
    this.#output = rest;
    return output;
  }
}
