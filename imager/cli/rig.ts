/** `imager rig`: scenarios of reboots, faults and power cuts on rigs. Parses, calls, prints. */
import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { plain } from '../../agent/protocol/plain.ts';
import type { ScenarioResult } from '../../firmware-stubs/rig/scenario/result.ts';
import type { RigKind } from '../../firmware-stubs/rig/scenario/rig.ts';
import { ConfigError, describeFault } from '../model/fault.ts';
import { UsageError, VerbError } from './failure.ts';
import { svgFiles, tryOutputs } from './rig-outputs.ts';
import { counted } from './table.ts';
import { plainJson } from './terminal.ts';

/** Faults of a file that are shown: what is no scenario at all has hundreds. */
const FAULTS_SHOWN = 5;

/** Rigs are loaded only here: other verbs start without them. */
const KINDS: Record<RigKind['name'], () => Promise<RigKind>> = {
  qemu: async () => (await import('../../firmware-stubs/rig/scenario/qemu-kind.ts')).qemuKind,
  simulated: async () => (await import('../../firmware-stubs/simulated/lab/kind.ts')).simulatedRig,
};

interface RunOptions {
  rig: RigKind['name'];
  seed?: number;
  parallel?: number;
  junit?: string;
  svg?: string;
  keep?: string;
  json?: boolean;
}

export function addRig(program: Command): void {
  const rig = program
    .command('rig')
    .description('try reboots, faults and power cuts on emulated or simulated nodes')
    .addHelpText('after', '\nExamples:\n  imager rig run double-reboot.yaml');
  rig
    .command('run')
    .description('run scenarios and say of each whether all came as it expects')
    .argument('<file...>', 'scenario files')
    .addOption(
      new Option('--rig <kind>', 'real firmware and kernels under QEMU, or nodes simulated in virtual time')
        .choices(Object.keys(KINDS))
        .default('qemu'),
    )
    .addOption(
      new Option('--seed <number>', "what chance is drawn from (default: each file's)").argParser(seedNumber),
    )
    .addOption(
      new Option(
        '--parallel <number>',
        'how many run at the same time (default: one a processor, as far as memory goes)',
      ).argParser(above0),
    )
    .option('--junit <file>', 'write the results as JUnit XML')
    .option(
      '--svg <file>',
      'draw a timeline; of several scenarios each into a file of its own, NAME before .svg',
    )
    .option('--keep <directory>', 'keep logs and working files there, in a folder for each scenario')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Each scenario has a network, an imager and a state of its own; the imager of this machine is left alone. Results are on
standard output, progress on standard error. firmware-stubs/rig/scenario/README.md says what a scenario is made of.

Exit code 1 where something did not come as expected, or a rig failed; 2 where a file has a fault or asks for something
the rig cannot do, or where a result could not be written: nothing is run then.

Examples:
  imager rig run fixtures/scenarios/fallback.yaml
  imager rig run fixtures/scenarios/*-*.yaml --parallel 2 --junit results.xml --svg timeline.svg
  imager rig run cuts.yaml --seed 4711 --keep build/cuts
  imager rig run *.yaml --json`,
    )
    .action(async (files: string[], options: RunOptions) => {
      await run(files, options);
    });
}

async function run(files: readonly string[], options: RunOptions): Promise<void> {
  const { junit, svg, json = false, rig, seed, parallel, keep } = options;
  const [kind, { idsOf, loadSuite, RefusedError, runSuite }, { resultText }] = await Promise.all([
    KINDS[rig](),
    import('../../firmware-stubs/rig/scenario/suite.ts'),
    import('../../firmware-stubs/rig/scenario/report.ts'),
  ]);
  const scenarios = (() => {
    try {
      return loadSuite(files, kind);
    } catch (error) {
      if (error instanceof ConfigError) throw shortened(error);
      throw error instanceof RefusedError ? new UsageError(error.message) : error;
    }
  })();
  tryOutputs(options, idsOf(scenarios));
  const results = await runSuite(scenarios, {
    kind,
    ...(seed === undefined ? {} : { seed }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(keep === undefined ? {} : { keep }),
    progress: (name, line) => process.stderr.write(`${plain(`${name}: ${line}`)}\n`),
    ended: (result) => {
      if (!json) process.stdout.write(`${plain(resultText(result))}\n`);
    },
  });
  if (json) process.stdout.write(`${plainJson(results)}\n`);
  await writeReports(results, junit, svg);
  const failed = results.filter(({ ok }) => !ok).length;
  if (failed > 0) throw new VerbError(`${failed} of ${counted(results.length, 'scenario')} failed`);
}

async function writeReports(
  results: readonly ScenarioResult[],
  junit: string | undefined,
  svg: string | undefined,
): Promise<void> {
  if (junit !== undefined) {
    const { junitXml } = await import('../../firmware-stubs/rig/scenario/junit.ts');
    writeFileSync(junit, junitXml(results));
  }
  if (svg === undefined) return;
  const { scenarioSvg } = await import('../../firmware-stubs/rig/scenario/svg.ts');
  const paths = svgFiles(
    svg,
    results.map(({ id }) => id),
  );
  for (const [i, result] of results.entries()) writeFileSync(paths[i]!, scenarioSvg(result));
}

/** With the first faults in its message, and how many more there are. */
function shortened(error: ConfigError): ConfigError {
  const { file, faults } = error;
  const left = faults.length - FAULTS_SHOWN;
  const shown = faults.slice(0, FAULTS_SHOWN).map((fault) => describeFault(file, fault));
  if (left > 0) error.message = [...shown, `${file}: ${left} more`].join('\n');
  return error;
}

function seedNumber(value: string): number {
  if (/^\d{1,10}$/.test(value) && Number(value) <= 0xffffffff) return Number(value);
  throw new InvalidArgumentError('expected a whole number from 0 to 4294967295.');
}

function above0(value: string): number {
  if (/^[1-9]\d{0,3}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('expected a whole number from 1 to 9999.');
}
