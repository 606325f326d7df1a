import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { commandLine } from '../../imager/cli/program.ts';
import { type Ended, imagerProgram, runVerb } from '../support/imager-verbs.ts';

let dir: string;
let server: Server | undefined;

beforeAll(async () => {
  await imagerProgram();
  dir = mkdtempSync(join(tmpdir(), 'cli-'));
  writeFileSync(
    join(dir, 'imager.yaml'),
    'state: .\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n',
  );
  writeFileSync(join(dir, 'bad.yaml'), 'state: .\ncluster: C\nnetwork: { address: 10.0.0.1, prefix: 99 }\n');
});
afterAll(() => {
  server?.close();
  rmSync(dir, { recursive: true, force: true });
});

function imager(args: string[], env: Record<string, string> = {}, cwd = dir): Promise<Ended> {
  return runVerb(args, { cwd, env: { PATH: process.env.PATH ?? '', ...env } });
}

const VERBS = [
  ['serve'],
  ['node', 'list'],
  ['node', 'show'],
  ['node', 'boots'],
  ['node', 'flash'],
  ['node', 'output'],
  ['node', 'power'],
  ['image', 'list'],
  ['image', 'show'],
  ['image', 'add'],
  ['image', 'build'],
  ['image', 'inspect'],
  ['image', 'verify'],
  ['image', 'nbi'],
  ['base', 'list'],
  ['base', 'add'],
  ['base', 'build'],
  ['base', 'verify'],
  ['base', 'remove'],
  ['disk', 'list'],
  ['disk', 'show'],
  ['disk', 'create'],
  ['disk', 'snapshot'],
  ['disk', 'generations'],
  ['disk', 'rollback'],
  ['disk', 'drop'],
  ['disk', 'diff'],
  ['disk', 'commit'],
  ['disk', 'grow'],
  ['disk', 'check'],
  ['disk', 'repair'],
  ['disk', 'remove'],
  ['pxe', 'render'],
  ['pxe', 'explain'],
  ['serial', 'list'],
  ['serial', 'show'],
  ['serial', 'flash'],
  ['serial', 'verify'],
  ['serial', 'recover'],
  ['rig', 'run'],
];

describe('usage', () => {
  test.each([
    [['disk', 'list'], ['disk']],
    [['-c', 'node', 'disk', 'list'], ['disk']],
    [['--config=node', 'serve'], ['serve']],
    [['--config', 'disk'], undefined],
    [['help', 'disk'], undefined],
    [['disks'], undefined],
    [['constructor'], undefined],
    [['--help', 'disk'], undefined],
    [['-cnode', 'disk'], ['disk']],
    [['--config', '-c', 'disk', 'node'], ['disk']],
    [['disk', '--help'], ['disk']],
    [['--', 'disk'], undefined],
    [[], undefined],
  ])('of %j what is loaded is %j, or all', async (words, some) => {
    const loaded = (await commandLine(words)).commands.map((command) => command.name());
    expect(loaded).toEqual(some ?? [...new Set(VERBS.map(([group]) => group))]);
  });

  test.each(VERBS.map((verb) => [verb.join(' '), verb] as const))(
    '%s: help with examples, and results as JSON but for serve',
    async (name, verb) => {
      let command: Command | undefined = await commandLine();
      for (const word of verb) command = command?.commands.find((each) => each.name() === word);
      let help = '';
      command?.configureOutput({
        writeOut: (text) => {
          help += text;
        },
      });
      command?.outputHelp();
      expect(help).toContain(`Examples:\n  imager ${name}`);
      expect(help).toContain('--config <file>');
      if (name !== 'serve') expect(help).toContain('--json');
    },
  );

  test('the exit codes are in the help', async () => {
    const { code, stdout } = await imager(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /0 {2}done\n {2}1 {2}failed.*\n {2}2 {2}wrong usage.*\n {2}3 {2}the imager is not running/,
    );
  });

  test('the version is said as the agent says its own', async () => {
    const { version } = JSON.parse(readFileSync(projectFile('package.json'), 'utf8'));
    expect(await imager(['--version'])).toEqual({
      ...{ code: 0, stderr: '' },
      stdout: `imager ${version} (protocol 2, node)\n`,
    });
  });

  test('a reader that has seen enough is no failure', async () => {
    const { stdout } = await promisify(execFile)(
      'sh',
      [
        '-c',
        '{ "$0" "$1" --help 2>&3; echo "exit $?" >&3; } 3>said | :; cat said',
        process.execPath,
        await imagerProgram(),
      ],
      { cwd: dir },
    );
    expect(stdout).toBe('exit 0\n');
  });

  test.each([
    [[], /Usage: imager/],
    [['nodes'], /unknown command 'nodes'/],
    [['node', 'power', 'n', 'explode'], /Allowed choices are reboot, off, on, cycle/],
    [['node', 'flash', 'n', '--image', 'i'], /required option '--disk <disk>'/],
    [['image', 'add', 'x', '--arch', 'mips', '--kernel', 'k', '--initrd', 'i', '--args', ''], /arm64, amd64/],
    [['serial', 'show'], /name a port with --port, or all with --all/],
    [['serial', 'recover'], /name a port with --port, or all with --all/],
    [['serve', '--log-level', 'loud'], /--log-level loud: one of trace, debug/],
  ])('wrong usage is exit code 2: %j', async (args, message) => {
    const { code, stdout, stderr } = await imager(args);
    expect(stderr).toMatch(message);
    expect([code, stdout]).toEqual([2, '']);
  });

  test('a laptop without a configuration has to name what a pointer needs: exit code 2', async () => {
    const cwd = mkdtempSync(join(dir, 'laptop-'));
    const args = ['serial', 'flash', '--port', '/dev/none', '--image', 'i', '--disk', 'd'];
    const { code, stderr } = await imager(args, {}, cwd);
    expect(stderr).toContain('there is no configuration file imager.yaml: name --imager and --cluster');
    expect(code).toBe(2);
  });
});

describe('configuration', () => {
  test('every fault of the file, and exit code 2', async () => {
    for (const verb of [['serve'], ['node', 'list']]) {
      const { code, stderr } = await imager([...verb, '--config', 'bad.yaml']);
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /^bad\.yaml:2:10: cluster: found "C", .*\nbad\.yaml:3:39: network\.prefix: found 99, /,
      );
    }
  });

  test('a script or key that is missing: nothing to verbs that ask the imager, a fault to serve', async () => {
    writeFileSync(
      join(dir, 'scripts.yaml'),
      `${readFileSync(join(dir, 'imager.yaml'), 'utf8')}agents: { enrolmentKey: gone.key }\n` +
        'userConfigs: { web: { scripts: [{ name: a, stage: 2, file: gone.sh }] } }\n',
    );
    const run = (...verb: string[]) => imager([...verb, '--config', 'scripts.yaml']);
    const [list, output, check, serve] = await Promise.all([
      run('node', 'list'),
      run('node', 'output', 'n'),
      run('pxe', 'render', '--check', '--offline'),
      run('serve'),
    ]);
    for (const { code, stderr } of [list, output]) {
      expect(stderr).toContain('no imager is running for scripts.yaml');
      expect(code).toBe(3);
    }
    for (const { code, stderr } of [check, serve]) {
      expect(stderr).toContain('userConfigs.web.scripts[0].file: found gone.sh: no such file');
      expect(stderr).toContain('agents.enrolmentKey: found gone.key: no such file');
      expect(code).toBe(2);
    }
  });

  test('--config before or after the verb, $IMAGER_CONFIG, ./imager.yaml', async () => {
    const [before, after, variable, plain, absent] = await Promise.all([
      imager(['--config', 'bad.yaml', 'node', 'list']),
      imager(['node', 'list', '-c', 'bad.yaml']),
      imager(['node', 'list'], { IMAGER_CONFIG: 'bad.yaml' }),
      imager(['node', 'list']),
      imager(['node', 'list', '-c', 'absent.yaml']),
    ]);
    for (const { stderr } of [before, after, variable]) expect(stderr).toMatch(/^bad\.yaml:2/);
    expect([plain.code, absent.code]).toEqual([3, 2]);
    expect(absent.stderr).toContain('absent.yaml: found no such file');
  });
});

describe('the imager behind the socket', () => {
  test('none: exit code 3 and how to start one', async () => {
    const { code, stderr } = await imager(['disk', 'list']);
    expect(code).toBe(3);
    expect(stderr).toBe(
      `imager: no imager is running for imager.yaml (nothing listens on ${dir}/control.sock): start it with "imager serve --config imager.yaml"\n`,
    );
  });

  test('its refusals are exit code 1; text of nodes cannot steer the terminal', async () => {
    const node = {
      ...{ name: 'n\u001b[2Jx', connected: true, lastHello: 0 },
      ...{ bootedImage: null, fallback: null, pointer: null },
    };
    const steps = [{ seq: 1, step: 'a\nb', uptime: 1, at: 0, detail: { 'k\u009b2J': 'v' } }];
    const boot = { bootId: 'b\u001b[2J\n', image: 'i\u009b2J', at: 0, lastSeq: 1, steps };
    const adapter = {
      ...{ name: 'eth0', mac: '52:54:00:00:00:01', address: '10.0.0.1', at: 0, speed: null, roundTrip: null },
      ...{ state: 'unknown', was: 'up', errors: 0 },
    };
    const details = {
      ...{ ...node, name: 'c1\u009b\u007f', reported: null, boots: [boot] },
      liveness: { state: 'lost', heardAt: 0, adapters: [adapter] },
      membership: { definition: null, standing: null },
      joined: { at: 0, address: '10.0.0.1', by: 'uid', deeds: ['define'], defined: 'asked' },
      refusals: [
        { reason: 'r', why: 'w\u001b[2J', address: '10.0.0.2', as: 'address', count: 3, since: 0, at: 0 },
      ],
      duplicate: { addresses: ['10.0.0.1', '10.0.0.2'], since: 0, at: 0 },
    };
    server = createServer((request, response) => {
      if (request.url === '/api/nodes') return response.end(JSON.stringify([node]));
      if (request.url === '/api/disks') return response.end('<html>');
      if (request.url === '/control/nodes/n/power')
        return response.end(JSON.stringify({ node: 'n\u001bc', action: 'on', via: 'agent' }));
      if (request.url === '/control/nodes/n/undefine')
        return response.end(JSON.stringify({ node: 'n', defined: false, erased: true }));
      if (request.url === '/api/nodes/n') return response.end(JSON.stringify(details));
      if (request.url === '/api/images/c')
        return response.writeHead(502).end(JSON.stringify({ error: 'node said\n\u001b]0;x\u0007 \u009b2J' }));
      return response.writeHead(404).end(JSON.stringify({ error: 'no such thing; there is: a' }));
    });
    await new Promise<void>((done) => server?.listen(join(dir, 'control.sock'), done));
    const [list, json, image, disks, show, showJson, failed, power, undefine] = await Promise.all([
      imager(['node', 'list']),
      imager(['node', 'list', '--json']),
      imager(['image', 'show', 'x']),
      imager(['disk', 'list']),
      imager(['node', 'show', 'n']),
      imager(['node', 'show', 'n', '--json']),
      imager(['image', 'show', 'c']),
      imager(['node', 'power', 'n', 'on']),
      imager(['node', 'undefine', 'n']),
    ]);
    expect(power.stdout).toBe('n?c: on through the agent\n');
    const undone = 'n: was not defined; it is not taken in before imager node define n\n';
    expect(undefine).toEqual({ code: 0, stdout: undone, stderr: '' });
    expect(show.stdout).toMatch(
      /^last join +1970-01-01 00:00:00Z, from 10\.0\.0\.1, defined as was asked for$/m,
    );
    expect(show.stdout).toMatch(
      /^adapter eth0 +unknown: up when last heard, 1970-01-01 00:00:00Z, 10\.0\.0\.1, 52:54:00:00:00:01$/m,
    );
    expect(show.stdout).toMatch(
      /^refused +1970-01-01 00:00:00Z, 3 times, not known who, from its address 10\.0\.0\.2 \(r\): w\?\[2J$/m,
    );
    expect(show.stdout).toMatch(
      /^duplicate +two agents .* at 10\.0\.0\.1 and 10\.0\.0\.2, the last time 1970/m,
    );
    expect(show.stdout).toContain('boot b?[2J? of i?2J, 1970');
    expect(show.stdout).toMatch(/a\?b {3}k\?2J=v\n/);
    expect(`${show.stdout}${showJson.stdout}${failed.stderr}`).not.toMatch(/[^\P{Cc}\n]/u);
    expect(JSON.parse(showJson.stdout)).toEqual(details);
    expect(failed).toMatchObject({ code: 1, stderr: 'imager: node said\n?]0;x? ?2J\n' });
    expect(list.stdout).toMatch(/^NAME .*\nn\?\[2Jx {2}.*1970-01-01 00:00:00Z\n$/);
    expect(JSON.parse(json.stdout)).toEqual([node]);
    expect(image).toEqual({ code: 1, stdout: '', stderr: 'imager: no such thing; there is: a\n' });
    expect(disks).toMatchObject({ code: 1, stderr: expect.stringContaining('is not JSON') });
  });
});
