/** Agents of other runtimes: ours on Node and on Bun, and one in Go. Fetched and built into build/peers, installed nowhere. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { AgentArch } from '../../agent/quickjs/build.ts';
import { PEERS } from './peers.ts';

const run = promisify(execFile);
const GO_SOURCE = resolve(import.meta.dirname, '../../test/bench/peers/agent.go');
const BUN: Record<AgentArch, string> = { amd64: '@oven/bun-linux-x64', arm64: '@oven/bun-linux-aarch64' };
const BUN_VERSION = '1.4.5';

/** The bun program, from npm. Rejects with npm's words where it cannot be had. */
export async function bunProgram(arch: AgentArch): Promise<string> {
  const folder = join(PEERS, `bun-${BUN_VERSION}`);
  const program = join(folder, 'package/bin/bun');
  if (existsSync(program)) return program;
  await mkdir(PEERS, { recursive: true });
  const work = await mkdtemp(join(PEERS, '.fetching-'));
  try {
    const { stdout } = await run('npm', ['pack', '--silent', `${BUN[arch]}@${BUN_VERSION}`], { cwd: work });
    await run('tar', ['xzf', stdout.trim()], { cwd: work });
    await rename(work, folder);
    return program;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The agent in Go, static, without symbols. Rejects where Debian's golang-go is not installed. */
export async function goAgent(arch: AgentArch, folder: string): Promise<string> {
  const out = join(folder, `go-agent-${arch}`);
  await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', out, GO_SOURCE], {
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOARCH: arch,
      GOCACHE: join(PEERS, 'go-cache'),
      GOFLAGS: '-mod=mod',
    },
  });
  return out;
}
