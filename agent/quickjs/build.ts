/**
 * Builds the agent as one static binary: TypeScript -> ES modules (bundle.ts) -> QuickJS bytecode -> linked with
 * QuickJS, Mbed TLS (mbedtls.ts) and the module "bw". Sources of the first two are Debian 13's (README.md says why); objects
 * are kept in build/cache/agent/ARCH (objects.ts).
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { bundleProgram, packModules } from './bundle.ts';
import { debianSource } from './debian-source.ts';
import { type MbedTls, mbedTls } from './mbedtls.ts';
import { compileAll, hash, type Source, type Target, tool } from './objects.ts';

export type AgentArch = 'amd64' | 'arm64';

const ROOT = projectRoot(import.meta.dirname);
const SOURCES = join(ROOT, 'agent/quickjs');
const QUICKJS_VERSION = '2025-04-26';
const QUICKJS_FILES = ['quickjs.c', 'libregexp.c', 'libunicode.c', 'cutils.c', 'dtoa.c'];
const OWN_FILES = [
  'main.c',
  'bw.c',
  'modules.c',
  'files.c',
  'aside.c',
  'watchdog.c',
  'system.c',
  'network.c',
  'interface.c',
  'processes.c',
  'relay.c',
  'pack.c',
  'stream.c',
  'tls.c',
];
const COMPILERS: Record<AgentArch, string> = {
  amd64: 'x86_64-linux-gnu-gcc',
  arm64: 'aarch64-linux-gnu-gcc',
};
const NATIVE: AgentArch = process.arch === 'arm64' ? 'arm64' : 'amd64';
const FLAGS = [
  '-Os',
  '-ffunction-sections',
  '-fdata-sections',
  // QuickJS takes it that integers wrap, as its own makefile says.
  '-fwrapv',
  '-D_GNU_SOURCE',
  `-DCONFIG_VERSION="${QUICKJS_VERSION}"`,
];
/** Of the engine itself: a start, which is reading bytecode, takes a tenth less, and the binary a fifteenth more. */
const ENGINE_FLAGS = [...FLAGS, '-O2'];
const OWN_FLAGS = [
  ...FLAGS,
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  // Every function callable from JavaScript has the same four parameters.
  '-Wno-unused-parameter',
];
const LINK_FLAGS = ['-static', '-s', '-Wl,--gc-sections'];
/** What a fault in C is found with: memory and undefined behaviour watched, each fault the end. Not static, slow, 15 MB. */
const WATCHED = [
  '-g1',
  // Optimised, these checks take five times as long to compile.
  '-O0',
  '-fsanitize=address,undefined',
  // QuickJS copies nothing from nowhere in places: memcpy(to, NULL, 0).
  '-fno-sanitize=nonnull-attribute',
  '-fno-sanitize-recover=all',
];

/** How a binary is compiled and linked. */
interface Kind {
  /** Of QuickJS. */
  sources: string;
  tls?: MbedTls;
  watched: boolean;
}

export interface AgentBuild {
  arch: AgentArch;
  /** Path of the binary. */
  out: string;
  /** The program inside, a path from the project's root: agent/quickjs/main.ts unless told otherwise. */
  entry?: string;
  /** Ends at the first fault of memory or undefined behaviour in C, and says where: for tests on this machine, not for nodes. */
  watched?: boolean;
  progress?: (line: string) => void;
}

/** Builds the binary; rejects with what the failing tool printed. Safe to run several times at once. */
export async function buildAgent({
  arch,
  out,
  entry,
  watched = false,
  progress = () => undefined,
}: AgentBuild): Promise<void> {
  const cache = join(ROOT, 'build/cache/agent');
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'work-'));
  try {
    const downloads = join(ROOT, 'build/cache');
    const script = join(SOURCES, 'debian-source.sh');
    const version = QUICKJS_VERSION.replaceAll('-', '\\.');
    const sources = await debianSource(downloads, script, 'quickjs', version, progress);
    const compile = await bytecodeCompiler(cache, sources, progress);
    const tls = await mbedTls(downloads, join(SOURCES, 'mbedtls_config.h'), script, progress);
    const files = [
      ...QUICKJS_FILES.map((name) => join(sources, name)),
      ...OWN_FILES.map((name) => join(SOURCES, name)),
      ...tls.files,
    ];
    const kind = { sources, tls, watched };
    const objects = await compileAll(
      targetOf(cache, arch),
      files.map((file) => sourceOf(kind, file)),
      (count) =>
        progress(`agent ${arch}: compiling ${count} C files of QuickJS, Mbed TLS and the host module`),
    );
    progress(`agent ${arch}: bundling ${entry ?? 'the agent'}`);
    const bytecode = join(work, 'agent.bin');
    const names = await bundleProgram(SOURCES, resolve(ROOT, entry ?? 'agent/quickjs/main.ts'), work);
    for (const name of names)
      await tool(compile, [name, join(work, `${name}.js`), join(work, `${name}.bin`)]);
    writeFileSync(
      bytecode,
      packModules(names.map((name) => ({ name, bytecode: readFileSync(join(work, `${name}.bin`)) }))),
    );
    const data = join(work, 'bundle.o');
    await tool(compiler(arch), ['-c', `-DBUNDLE="${bytecode}"`, join(SOURCES, 'bundle.S'), '-o', data]);
    progress(`agent ${arch}: linking ${out}`);
    const linked = join(work, 'agent');
    await tool(compiler(arch), [...(watched ? WATCHED : LINK_FLAGS), '-o', linked, ...objects, data, '-lm']);
    mkdirSync(dirname(resolve(out)), { recursive: true });
    place(linked, out);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Puts a finished program where it is wanted, at once and executable. */
function place(program: string, out: string): void {
  const partial = `${out}.${randomUUID()}`;
  try {
    copyFileSync(program, partial);
    chmodSync(partial, 0o755);
    renameSync(partial, out);
  } finally {
    rmSync(partial, { force: true });
  }
}

/** The bytecode compiler for this machine, built on first use. */
async function bytecodeCompiler(
  cache: string,
  sources: string,
  progress: (line: string) => void,
): Promise<string> {
  const files = [...QUICKJS_FILES.map((name) => join(sources, name)), join(SOURCES, 'compile.c')];
  const objects = await compileAll(
    targetOf(cache, NATIVE),
    files.map((file) => sourceOf({ sources, watched: false }, file)),
    (count) => progress(`agent: compiling ${count} C files of QuickJS's bytecode compiler`),
  );
  const path = join(cache, `compile-${hash(objects)}`);
  if (!existsSync(path)) {
    const partial = `${path}.${randomUUID()}`;
    await tool(compiler(NATIVE), [...LINK_FLAGS, '-o', partial, ...objects, '-lm']);
    renameSync(partial, path);
  }
  return path;
}

function sourceOf(kind: Kind, file: string): Source {
  const { tls } = kind;
  return { file, flags: flagsFor(kind, file), inputs: usesTls(file, tls) ? tls.inputs : [] };
}

function flagsFor({ sources, tls, watched }: Kind, file: string): string[] {
  return [
    ...(file.startsWith(SOURCES)
      ? [...OWN_FLAGS, '-isystem', sources]
      : file === join(sources, 'quickjs.c')
        ? ENGINE_FLAGS
        : FLAGS),
    ...(usesTls(file, tls) ? tls.flags : []),
    ...(watched ? WATCHED : []),
  ];
}

function usesTls(file: string, tls: MbedTls | undefined): tls is MbedTls {
  return tls !== undefined && (tls.files.includes(file) || file === join(SOURCES, 'tls.c'));
}

function targetOf(cache: string, arch: AgentArch): Target {
  return { arch, compiler: compiler(arch), folder: join(cache, arch) };
}

function compiler(arch: AgentArch): string {
  return arch === NATIVE ? 'gcc' : COMPILERS[arch];
}

/** The folder of package.json: this file runs from the sources and from dist/. */
function projectRoot(start: string): string {
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder))
    if (existsSync(join(folder, 'package.json'))) return folder;
  throw new Error(`no package.json above ${start}`);
}
