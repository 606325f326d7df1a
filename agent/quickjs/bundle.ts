/**
 * The TypeScript of a static program as ES2020 modules that import nothing but "bw" and each other. What is loaded by import() is a
 * module of its own, and so are the libraries below, which are read at the first use of one of their functions: most of
 * a start is bytecode being read and evaluated, and a node waits for none that it does not need yet.
 */
import { join } from 'node:path';
import { type BuildOptions, build, type Plugin } from 'esbuild';

/** Libraries that are read late, with what the agent uses of each; whatever else it would use is an error of the build. */
const LIBRARIES: Record<string, readonly string[]> = {
  'cbor-x': ['Decoder', 'Encoder'],
  'zod/mini': (
    '_default array boolean custom enum int literal maxLength maximum minLength minimum nullable number object ' +
    'optional pipe record refine regex safeParse string transform union'
  ).split(' '),
};
const LATER = 'later';

/** Writes the modules of the program `entry` to `folder` as NAME.js: their names, that of the entry first. */
export async function bundleProgram(sources: string, entry: string, folder: string): Promise<string[]> {
  const result = await build({
    ...options(sources, folder),
    entryPoints: [{ in: entry, out: 'main' }],
    splitting: true,
    chunkNames: '[name]-[hash]',
    inject: [join(sources, 'polyfills.ts')],
    plugins: [later],
    logOverride: { 'import-is-undefined': 'error' },
    metafile: true,
  });
  const outputs = Object.entries(result.metafile.outputs);
  const foreign = outputs
    .flatMap(([, output]) => output.imports)
    .filter(({ path, external }) => external === true && path !== 'bw');
  if (foreign.length > 0)
    throw new Error(`the agent's bundle imports ${foreign.map((each) => each.path).join(', ')}`);
  const used = Object.keys(LIBRARIES).filter((name) =>
    outputs.some(([, { inputs }]) => (inputs[`${LATER}:${name}`]?.bytesInOutput ?? 0) > 0),
  );
  for (const name of used) await bundleLibrary(sources, name, folder);
  const parts = outputs.map(([path]) => path.slice(path.lastIndexOf('/') + 1, -'.js'.length));
  return ['main', ...parts.filter((name) => name !== 'main').sort(), ...used.map(libraryModule)];
}

async function bundleLibrary(sources: string, name: string, folder: string): Promise<void> {
  await build({
    ...options(sources, folder),
    stdin: { contents: `export { ${LIBRARIES[name]!.join(', ')} } from '${name}';`, resolveDir: sources },
    entryNames: libraryModule(name),
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

/** In the place of each library: functions that read it, and then do what its own do. */
const later: Plugin = {
  name: LATER,
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[^.]/ }, ({ path }) =>
      Object.hasOwn(LIBRARIES, path) ? { path, namespace: LATER, sideEffects: false } : undefined,
    );
    onLoad({ filter: /./, namespace: LATER }, ({ path }) => ({
      contents: [
        `import { library } from 'bw';`,
        `let read;`,
        `const all = () => (read ??= library('${libraryModule(path)}'));`,
        ...LIBRARIES[path]!.map(
          (name) => `function $${name}(...given) {
            return new.target ? new (all().${name})(...given) : all().${name}(...given);
          }
          export { $${name} as ${name} };`,
        ),
      ].join('\n'),
    }));
  },
};

function libraryModule(name: string): string {
  return name.replace('/', '-');
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
