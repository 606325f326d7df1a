/** `agent local show|erase`: which clusters the node is defined in, and never a key. Parses, calls, prints. */
import { type Command, Option } from 'commander';
import { parseBootLine } from '../linux/cmdline.ts';
import type { Host } from '../linux/host.ts';
import { STATE_DIRECTORY } from '../linux/journal.ts';
import { LocalFolder } from '../linux/local-folder.ts';
import { openLocalStore } from '../linux/local-store.ts';
import { readText } from '../linux/read-text.ts';
import { lockState, lockStore } from '../linux/state-lock.ts';
import type { LocalStore } from '../protocol/definition.ts';
import { LocalRefusedError } from '../protocol/local-content.ts';
import { jsonText } from './json-text.ts';
import { contentText, withoutKeys } from './local-text.ts';
import { type NamedStore, parseStore, storesText } from './store-option.ts';

interface LocalOptions {
  store?: NamedStore;
  state?: string;
  json?: boolean;
}

interface Opened {
  /** Where it is, for people. */
  where: string;
  store: LocalStore & { clear(): void };
  /** Keeps other agents from writing there; gives what ends that. Throws LocalRefusedError where one is at work. */
  lock(): () => void;
}

export function addLocalVerbs(program: Command, host: Host, print: (text: string) => void): void {
  const local = program
    .command('local')
    .description('which clusters this node is defined in, as it keeps that itself')
    .addHelpText('after', '\nExample:\n  agent local show');
  const verb = (name: string, description: string, examples: string) =>
    local
      .command(name)
      .description(description)
      .addOption(
        new Option(
          '--store <kind:path>',
          "pointer store that it is beside (default: the one on the kernel's command line)",
        ).argParser(parseStore),
      )
      .option(
        '--state <folder>',
        `the agent's folder on the disk, which has it where no store has room (default: ${STATE_DIRECTORY}); named, no store is looked for`,
      )
      .option('--json', 'print JSON')
      .addHelpText('after', `\n${storesText()}\nExamples:\n${examples}`);
  const show = ({ where, store }: Opened, { json }: LocalOptions) => {
    const content = store.read();
    print(json ? jsonText({ store: where, ...withoutKeys(content) }) : contentText(where, content));
  };

  verb(
    'show',
    'clusters, node number and name, imagers; never a key',
    '  agent local show\n  agent local show --store efivars:/sys/firmware/efi/efivars --json',
  ).action((options: LocalOptions) => show(open(host, options), options));

  verb(
    'erase',
    'forget a cluster, or all of them; prints what is left',
    '  agent local erase lab\n  agent local erase --all',
  )
    .argument('[cluster]', 'name or id of a cluster')
    .option('--all', 'everything, be it damaged or not')
    .action((cluster: string | undefined, options: LocalOptions & { all?: boolean }) => {
      if ((cluster === undefined) !== (options.all === true))
        throw new LocalRefusedError('nothing erased: name one cluster, or --all');
      const opened = open(host, options);
      const release = opened.lock();
      try {
        if (cluster === undefined) opened.store.clear();
        else opened.store.erase(idOf(opened, cluster));
        show(opened, options);
      } finally {
        release();
      }
    });
}

/** A store that was named must have room; the one that the firmware named need not, and a folder that was named goes before it. */
function open(host: Host, { store, state }: LocalOptions): Opened {
  const place = store ?? (state === undefined ? bootedFrom(host) : undefined);
  const folder = state ?? STATE_DIRECTORY;
  let why = '';
  const found =
    place &&
    openLocalStore(host, { layout: place.kind, device: place.path }, (text) => {
      why = text;
    });
  if (place !== undefined && found !== undefined)
    return {
      where: `${place.kind}:${place.path}`,
      store: found,
      lock: () => lockStore(host, place.path),
    };
  if (store !== undefined) throw new LocalRefusedError(`there is no local store: ${why}`);
  return { where: folder, store: new LocalFolder(host, folder), lock: () => lockState(host, folder) };
}

/** Undefined on a system that was not started by firmware of ours. */
function bootedFrom(host: Host): NamedStore | undefined {
  const line = readText(host, '/proc/cmdline');
  if (!/\bbootwright\.pointer=/.test(line)) return undefined;
  const { layout, device } = parseBootLine(line).pointer;
  return { kind: layout, path: device };
}

/** Of the cluster with that name or id. Throws where there is none, or two of the name. */
function idOf({ where, store }: Opened, cluster: string): string {
  const { definitions } = store.read();
  const found = definitions
    .map((each) => each.cluster)
    .filter(({ name, id }) => [name, id].includes(cluster));
  const [only, another] = found;
  if (only === undefined)
    throw new LocalRefusedError(`nothing erased: ${where} has no definition to a cluster ${cluster}`);
  if (another !== undefined)
    throw new LocalRefusedError(
      `nothing erased: two clusters are called ${cluster}: ${found.map(({ id }) => id).join(', ')}; name one id`,
    );
  return only.id;
}
