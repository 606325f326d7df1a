/**
 * The TypeScript of a static program as ES2020 modules that import nothing but "bw" and each other. What is loaded by import() is a
 * module of its own, and so are the libraries and modules below, which are read at the first use of one of their functions: most
 * of a start is bytecode being read and evaluated, and a node waits for none that it does not need yet.
 */
import { join, relative } from 'node:path';
import { type BuildOptions, build, type Metafile, type Plugin } from 'esbuild';

/** Libraries that are read late, with what the agent uses of each; whatever else it would use is an error of the build. */
const LIBRARIES: Record<string, readonly string[]> = {
  'cbor-x': ['Decoder', 'Encoder'],
  'zod/mini': (
    '_default array boolean custom enum int literal maxLength maximum minLength minimum nullable number object ' +
    'optional pipe record refine regex safeParse string transform union'
  ).split(' '),
};
/**
 * Modules of our own, by their paths in agent/, which a node needs after it can act, or has no use for with its kind of EEPROM: with
 * the functions that others import of each; another import is an error of the build, too.
 */
const OWN: Record<string, readonly string[]> = {
  'linux/at24.ts': ['openAt24', 'openChip'],
  'linux/fw-env.ts': ['openFwEnv'],
  'linux/image-check.ts': ['checkImage'],
  'linux/local-eeprom.ts': ['localEeprom'],
  'linux/resources/discover.ts': ['discoverResources'],
  'linux/rpi-eeprom.ts': ['openRpiEeprom', 'rpiDigestFile'],
  'quickjs/nbd-netlink.ts':
    'connectRequest familyRequest parseAcknowledgement parseFamily parseLinkDead parseMessages reconfigureRequest'.split(
      ' ',
    ),
};
const LATER = 'later';

/** Writes the modules of the program `entry` to `folder` as NAME.js: their names, that of the entry first. */
export async function bundleProgram(sources: string, entry: string, folder: string): Promise<string[]> {
  const late: string[] = [];
  for (;;) {
    const outputs = await bundleOwn(sources, entry, late, folder);
    const used = Object.keys({ ...LIBRARIES, ...OWN }).filter((name) =>
      outputs.some(([, { inputs }]) => (inputs[`${LATER}:${name}`]?.bytesInOutput ?? 0) > 0),
    );
    const more = used.filter((name) => Object.hasOwn(OWN, name) && !late.includes(name));
    late.push(...more);
    // What is read late may itself use what is.
    if (more.length > 0) continue;
    const libraries = used.filter((name) => Object.hasOwn(LIBRARIES, name));
    for (const name of libraries) await bundleLibrary(sources, name, folder);
    const parts = outputs.map(([path]) => path.slice(path.lastIndexOf('/') + 1, -'.js'.length));
    return ['main', ...parts.filter((name) => name !== 'main').sort(), ...libraries.map(moduleName)];
  }
}

/** The program and those of OWN that it uses: what several of them import is a module in its turn. */
async function bundleOwn(
  sources: string,
  entry: string,
  late: readonly string[],
  folder: string,
): Promise<[path: string, Metafile['outputs'][string]][]> {
  const result = await build({
    ...options(sources, folder),
    entryPoints: [
      { in: entry, out: 'main' },
      ...late.map((name) => ({ in: join(sources, '..', name), out: moduleName(name) })),
    ],
    splitting: true,
    chunkNames: '[name]-[hash]',
    inject: [join(sources, 'polyfills.ts')],
    plugins: [later(sources)],
    logOverride: { 'import-is-undefined': 'error' },
    metafile: true,
  });
  const outputs = Object.entries(result.metafile.outputs);
  const foreign = outputs
    .flatMap(([, output]) => output.imports)
    .filter(({ path, external }) => external === true && path !== 'bw');
  if (foreign.length > 0)
    throw new Error(`the agent's bundle imports ${foreign.map((each) => each.path).join(', ')}`);
  return outputs;
}

async function bundleLibrary(sources: string, name: string, folder: string): Promise<void> {
  await build({
    ...options(sources, folder),
    stdin: { contents: `export { ${LIBRARIES[name]!.join(', ')} } from '${name}';`, resolveDir: sources },
    entryNames: moduleName(name),
  });
}

/** Names are kept: they are what a stack on the console shows. */
function options(sources: string, outdir: string): BuildOptions {
  return {
    // Names of chunks and labels in them are relative to it: the same sources give the same bytes wherever a build is started.
    absWorkingDir: sources,
    outdir,
    bundle: true,
    format: 'esm',
    // QuickJS has private fields; lowered ones would be slower and larger.
    target: 'es2020',
    supported: { 'class-field': true, 'class-private-field': true, 'class-private-method': true },
    platform: 'neutral',
    mainFields: ['module', 'main'],
    external: ['bw'],
    treeShaking: true,
    logLevel: 'silent',
  };
}

/** In the place of each: functions that read it, and then do what its own do. */
const later = (sources: string): Plugin => ({
  name: LATER,
  setup({ onResolve, onLoad }) {
    const stub = (path: string) => ({ path, namespace: LATER, sideEffects: false });
    onResolve({ filter: /^[^.]/ }, ({ path }) => (Object.hasOwn(LIBRARIES, path) ? stub(path) : undefined));
    onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
      const own = relative(join(sources, '..'), join(resolveDir, path));
      return kind === 'import-statement' && Object.hasOwn(OWN, own) ? stub(own) : undefined;
    });
    onLoad({ filter: /./, namespace: LATER }, ({ path }) => ({
      contents: [
        `import { library } from 'bw';`,
        `let read;`,
        `const all = () => (read ??= library('${moduleName(path)}'));`,
        ...(LIBRARIES[path] ?? OWN[path])!.map(
          (name) => `function $${name}(...given) {
            return new.target ? new (all().${name})(...given) : all().${name}(...given);
          }
          export { $${name} as ${name} };`,
        ),
      ].join('\n'),
    }));
  },
});

/** Of what is read late: `zod-mini`, `linux-fw-env`. */
function moduleName(path: string): string {
  return path.replace(/\.ts$/, '').replaceAll('/', '-');
}

/** Compiled modules as the executable has them (modules.c): of each its name, a NUL, its length (32 bits, little-endian), its bytes. */
export function packModules(modules: readonly { name: string; bytecode: Uint8Array }[]): Buffer {
  const parts = modules.flatMap(({ name, bytecode }) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytecode.length);
    return [Buffer.from(`${name}\0`), length, bytecode];
  });
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}
