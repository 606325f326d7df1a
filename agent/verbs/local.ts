/** `agent local show|erase`: which clusters the node is defined in, and never a key. Parses, calls, prints. */
import { parseBootLine } from '../linux/cmdline.ts';
import { placeOption, withAdvice } from '../linux/erase-advice.ts';
import type { Host } from '../linux/host.ts';
import { STATE_DIRECTORY } from '../linux/journal.ts';
import { LocalFolder } from '../linux/local-folder.ts';
import { openLocalStore } from '../linux/local-store.ts';
import { readText } from '../linux/read-text.ts';
import { lockState, lockStore } from '../linux/state-lock.ts';
import { type NamedStore, parseStore } from '../linux/store-name.ts';
import { UsageError } from '../linux/usage-error.ts';
import type { LocalContent, LocalStore } from '../protocol/definition.ts';
import { LocalRefusedError } from '../protocol/local-content.ts';
import { jsonText } from './json-text.ts';
import { contentText, withoutKeys } from './local-text.ts';
import { storesText } from './stores-text.ts';
import { type Given, JSON_OPTION, type OptionSpec, type Verb } from './verb.ts';

interface Opened {
  /** Where it is, for people. */
  where: string;
  store: LocalStore & { clear(): void };
  /** Keeps other agents from writing there; gives what ends that. Throws LocalRefusedError where one is at work. */
  lock(): () => void;
}

const OPTIONS: readonly OptionSpec[] = [
  {
    name: 'store',
    value: 'KIND:PATH',
    about: "pointer store that it is beside (default: the one on the kernel's command line)",
  },
  {
    name: 'state',
    value: 'FOLDER',
    about:
      "the agent's folder on the disk, which has it where no store has room; named, no store is looked for " +
      `(default: ${STATE_DIRECTORY})`,
  },
  JSON_OPTION,
];

export const localVerbs: readonly Verb[] = [
  {
    name: 'local show',
    about:
      'clusters this node is defined in, as it keeps that itself, node number and name, imagers; never a key',
    options: OPTIONS,
    get notes() {
      return storesText();
    },
    examples: ['agent local show', 'agent local show --store efivars:/sys/firmware/efi/efivars --json'],
    run(host, given, print) {
      return show(open(host, given), given, print);
    },
  },
  {
    name: 'local erase',
    about: 'forget a cluster, or all of them; prints what is left',
    operand: { name: 'CLUSTER', about: 'name or id of a cluster', optional: true },
    options: [{ name: 'all', about: 'everything, be it damaged or not' }, ...OPTIONS],
    get notes() {
      return storesText();
    },
    examples: ['agent local erase lab', 'agent local erase --all'],
    run: erase,
  },
];

function show(opened: Opened, given: Given, print: (text: string) => void): undefined {
  const { where } = opened;
  const content = contentOf(opened, given);
  print(
    given.has('json') ? jsonText({ store: where, ...withoutKeys(content) }) : contentText(where, content),
  );
}

function erase(host: Host, given: Given, print: (text: string) => void): undefined {
  const cluster = given.operand;
  if ((cluster === undefined) !== given.has('all'))
    throw new UsageError('nothing erased: name one cluster, or --all');
  const opened = open(host, given);
  const release = opened.lock();
  try {
    if (cluster === undefined) opened.store.clear();
    else opened.store.erase(idOf(opened, given, cluster));
    show(opened, given, print);
  } finally {
    release();
  }
}

function contentOf({ store }: Opened, given: Given): LocalContent {
  const place = (['store', 'state'] as const)
    .filter((name) => given.has(name))
    .map((name) => placeOption(name, given.needed(name)))
    .join(' ');
  return withAdvice(place, () => store.read());
}

/** A store that was named must have room; the one that the firmware named need not, and a folder that was named goes before it. */
function open(host: Host, given: Given): Opened {
  const named = given.one('store');
  const store = named === undefined ? undefined : parseStore('--store', named);
  const state = given.one('state');
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
function idOf(opened: Opened, given: Given, cluster: string): string {
  const { where } = opened;
  const { definitions } = contentOf(opened, given);
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
