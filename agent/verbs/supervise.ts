/** The command line of `agent supervise`, the same on both runtimes. Pure. What it does is agent/supervise.ts. */
import { type ImagerAddress, parseImagerAddress } from '../linux/imager-address.ts';
import { STATE_DIRECTORY } from '../linux/journal.ts';
import { type NamedStore, parseStore } from '../linux/store-name.ts';
import { UsageError } from '../linux/usage-error.ts';
import { ENROLMENT_KEY_FILE } from '../protocol/enrolment.ts';
import { wordsOf } from '../protocol/words-of.ts';
import { parseArguments } from './parse.ts';
import type { CommandLine } from './verb.ts';

export interface SuperviseOptions {
  /** In order of preference; empty: those of the boot pointer. */
  imagers: ImagerAddress[];
  /** Folder of what must outlive this process. */
  state: string;
  /** The node's boot pointer; without one the node has none to report and cannot be flashed. */
  pointer: NamedStore | undefined;
  /** A file with the UID, in place of the hardware's. */
  uidFile: string | undefined;
  /** A file with the operator's key of enrolment, in place of the one in /etc. */
  enrolmentKey: string | undefined;
  /** Whether the imager may restart this machine and switch it off. */
  allowPower: boolean;
}

export const SUPERVISE: CommandLine = {
  name: 'supervise',
  about:
    'speak for this node to its imager, as an ordinary process of a system that is up, until SIGTERM or SIGINT',
  options: [
    {
      name: 'imager',
      value: 'ADDRESS[:PORT]',
      about: 'an imager; several times, in order of preference (default: those of the boot pointer)',
    },
    {
      name: 'pointer',
      value: 'KIND:PATH',
      about:
        "the node's boot pointer store (agent pointer show --help lists the kinds), which has its key too where there is " +
        'room; without it the node cannot be flashed',
    },
    { name: 'state', value: 'FOLDER', about: `what must outlive this process (default: ${STATE_DIRECTORY})` },
    {
      name: 'uid-file',
      value: 'FILE',
      about: "a file with the node's UID, a UUID or serial:TEXT (default: the hardware's)",
    },
    {
      name: 'enrolment-key',
      value: 'FILE',
      about:
        "the file of the imager's agents.enrolmentKey, for a node that is not defined yet; not for every user to read " +
        `(default: ${ENROLMENT_KEY_FILE}, where it is there)`,
    },
    {
      name: 'allow-power',
      about: 'let the imager restart this machine and switch it off (default: refused)',
    },
  ],
  notes: 'It says hello, sends heartbeats, reports, and takes flashes.',
  examples: [
    'agent supervise --imager 10.77.0.1 --pointer fw-env:/etc/fw_env.config',
    'agent supervise --imager 10.77.0.1 --enrolment-key /root/enrolment-key',
    'agent supervise --imager 10.77.0.1:14747 --state /tmp/node1 --uid-file /tmp/node1/uid',
  ],
  exitCodes: [
    ['0', 'ended by SIGTERM or SIGINT'],
    [
      '1',
      'it could not begin: no UID, no such pointer store or key of enrolment, a damaged local store, another agent at work ' +
        'here',
    ],
    ['2', 'wrong usage'],
  ],
};

/** Reads the arguments after `supervise`; 'help' where they ask for it. Throws UsageError. */
export function parseSuperviseOptions(args: readonly string[]): SuperviseOptions | 'help' {
  const given = parseArguments(SUPERVISE, args);
  if (given === 'help') return given;
  const [imagers, pointer] = [given.all('imager').map(imager), given.one('pointer')];
  if (imagers.length === 0 && pointer === undefined)
    throw new UsageError('no --imager, and no --pointer that could name one (agent supervise --help)');
  return {
    imagers,
    state: given.one('state') ?? STATE_DIRECTORY,
    pointer: pointer === undefined ? undefined : parseStore('--pointer', pointer),
    uidFile: given.one('uid-file'),
    enrolmentKey: given.one('enrolment-key'),
    allowPower: given.has('allow-power'),
  };
}

function imager(text: string): ImagerAddress {
  try {
    return parseImagerAddress(text);
  } catch (error) {
    throw new UsageError(wordsOf(error));
  }
}
