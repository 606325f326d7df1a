/** `imager serve`: runs the imager until SIGTERM or SIGINT. */
import type { Command } from 'commander';
import { loadConfig } from '../model/load.ts';
import type { Imager } from '../service.ts';
import { Context } from './context.ts';
import { VerbError } from './failure.ts';

/** Longest a stop takes, disks that are being flushed included. */
const STOP_MS = 30_000;

/** Bytes of log lines that wait to be written; what comes then is lost. */
const MAX_UNWRITTEN = 2 ** 20;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the imager: DHCP, TFTP, HTTP, NBD and the agent endpoint')
    .option('--log-level <level>', `least severe messages logged: ${LEVELS.join(', ')}`, 'info')
    .addHelpText(
      'after',
      `
Runs in the foreground. Prints one line on standard output once everything serves:
  ready http=ADDRESS:PORT [https=ADDRESS:PORT] tftp=ADDRESS:PORT nbd=ADDRESS:PORT agent=ADDRESS:PORT control=PATH
The log is JSON, one object a line, on standard error. SIGTERM and SIGINT stop it: disks are flushed first.

Examples:
  imager serve --config lab.yaml
  imager serve --config lab.yaml --log-level debug 2>imager.log`,
    )
    .action(async (options: { logLevel: string }, command: Command) => {
      if (!LEVELS.includes(options.logLevel))
        command.error(`error: --log-level ${options.logLevel}: one of ${LEVELS.join(', ')}`);
      await serve(new Context(command), options.logLevel);
    });
}

async function serve(context: Context, level: string): Promise<void> {
  const config = loadConfig(context.configFile);
  // Loaded only here: the other verbs start in a third of the time without it.
  const [{ pino }, { StartError, startImager }] = await Promise.all([
    import('pino'),
    import('../service.ts'),
  ]);
  // Synchronous, so that what is logged last is not lost where the process ends at once.
  // What cannot be written, on a full disk, is kept as far as that: it is no reason to end, which without a listener it would be.
  const output = pino.destination({ dest: 2, sync: true, maxLength: MAX_UNWRITTEN });
  output.on('error', () => {});
  const log = pino({ level, base: {} }, output);
  // The handlers stay: supervisors send a signal twice (timeout(1) does), and that must not cut the flush short.
  const stop = new Promise<NodeJS.Signals>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const imager = await startImager(config, { log }).catch((error: unknown) => {
    throw error instanceof StartError ? new VerbError(error.message, { cause: error }) : error;
  });
  log.info({ ports: imager.ports, state: config.state, nodes: config.nodes.length }, 'serving');
  process.stdout.write(`${readyLine(imager)}\n`);
  const signal = await stop;
  log.info({ signal }, 'stopping');
  const deadline = setTimeout(() => {
    log.fatal(`not stopped after ${STOP_MS / 1000} s: ending at once`);
    process.exit(1);
  }, STOP_MS);
  await imager.close();
  clearTimeout(deadline);
  log.info('stopped');
  // State and ports are free: another imager may have them, and nothing that still runs here may touch them.
  process.exit(0);
}

function readyLine({ address, ports, control }: Imager): string {
  const { http, https, tftp, nbd, agent } = ports;
  const places = Object.entries({ http, https, tftp, nbd, agent }).flatMap(([name, port]) =>
    port === undefined ? [] : [`${name}=${address}:${port}`],
  );
  return ['ready', ...places, `control=${control}`].join(' ');
}
