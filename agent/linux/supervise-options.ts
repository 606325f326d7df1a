/** The command line of `agent supervise`, the same on both runtimes. Pure. */
import { wordsOf } from '../protocol/words-of.ts';
import { type ImagerAddress, parseImagerAddress } from './imager-address.ts';
import { STATE_DIRECTORY } from './journal.ts';
import { type NamedStore, parseStore } from './store-name.ts';
import { UsageError } from './usage-error.ts';

export interface SuperviseOptions {
  /** In order of preference; empty: those of the boot pointer. */
  imagers: ImagerAddress[];
  /** Folder of what must outlive this process. */
  state: string;
  /** The node's boot pointer; without one the node has none to report and cannot be flashed. */
  pointer: NamedStore | undefined;
  /** A file with the UID, in place of the hardware's. */
  uidFile: string | undefined;
  /** Whether the imager may restart this machine and switch it off. */
  allowPower: boolean;
}

export const SUPERVISE_HELP = `Usage: agent supervise [options]

Speaks for this node to its imager, as an ordinary process of a system that is up: says hello, reports, takes flashes.
Runs until SIGTERM or SIGINT.

Options:
  --imager ADDRESS[:PORT]  an imager; several times, in order of preference (default: those of the boot pointer)
  --pointer KIND:PATH      the node's boot pointer store, which has its key too where there is room; without it the node
                           cannot be flashed
  --state DIR              what must outlive this process (default: ${STATE_DIRECTORY})
  --uid-file FILE          a file with the node's UID (default: the hardware's)
  --allow-power            let the imager restart this machine and switch it off (default: refused)
  --help                   print this

Examples:
  agent supervise --imager 10.77.0.1 --pointer fw-env:/etc/fw_env.config
  agent supervise --imager 10.77.0.1:14747 --state /tmp/node1 --uid-file /tmp/node1/uid

Exit codes:
  0  ended by SIGTERM or SIGINT
  1  it could not begin: no UID, no such pointer store, another agent at work here
  2  wrong usage`;

/** Reads the arguments after `supervise`; 'help' where they ask for it. Throws UsageError. */
export function parseSuperviseOptions(args: readonly string[]): SuperviseOptions | 'help' {
  const options: SuperviseOptions = {
    ...{ imagers: [], state: STATE_DIRECTORY, pointer: undefined, uidFile: undefined, allowPower: false },
  };
  for (let at = 0; at < args.length; at++) {
    const option = args[at]!;
    const value = (): string => {
      const next = args[++at];
      if (next === undefined || next === '') throw new UsageError(`${option}: a value is missing`);
      return next;
    };
    switch (option) {
      case '--imager':
        options.imagers.push(imager(value()));
        break;
      case '--pointer':
        options.pointer = parseStore(option, value());
        break;
      case '--state':
        options.state = value();
        break;
      case '--uid-file':
        options.uidFile = value();
        break;
      case '--allow-power':
        options.allowPower = true;
        break;
      case '--help':
      case '-h':
        return 'help';
      default:
        throw new UsageError(`"${option}" is no option of supervise (--help lists them)`);
    }
  }
  if (options.imagers.length === 0 && options.pointer === undefined)
    throw new UsageError('no --imager, and no --pointer that could name one');
  return options;
}

function imager(text: string): ImagerAddress {
  try {
    return parseImagerAddress(text);
  } catch (error) {
    throw new UsageError(wordsOf(error));
  }
}
