/**
 * Composition root of `agent supervise`: the agent as an ordinary process of a system that is up. It boots nothing; it
 * speaks for the node to its imager until it is told to end.
 */
import { bootedImageOf } from './linux/booted-image.ts';
import { flashFault, openPointerStore, type PlacedStore } from './linux/eeprom.ts';
import { placeOption, withAdvice } from './linux/erase-advice.ts';
import { Flashes, UntouchedError } from './linux/flash.ts';
import { helloMaker, readBootId } from './linux/hello.ts';
import type { Host } from './linux/host.ts';
import { parseImagerAddress } from './linux/imager-address.ts';
import { AgentLink } from './linux/link.ts';
import { openLocalFolder } from './linux/local-folder.ts';
import { openLocalStore } from './linux/local-store.ts';
import { Membership } from './linux/membership.ts';
import { readText } from './linux/read-text.ts';
import { discoverResources } from './linux/resources/discover.ts';
import { guardedEnrolmentKey, secretOf } from './linux/secret.ts';
import { lockState, lockStore } from './linux/state-lock.ts';
import { readUid } from './linux/uid.ts';
import { UsageError } from './linux/usage-error.ts';
import type { LocalStore } from './protocol/definition.ts';
import { parseUid, type Uid, uidFault } from './protocol/uid.ts';
import { wordsOf } from './protocol/words-of.ts';
import { parseSuperviseOptions, type SuperviseOptions } from './verbs/supervise.ts';

/** How long the last reports may take to leave. */
const SETTLE_MS = 1000;

/** Runs until the process is told to end; gives its exit code. `args`: those after `supervise`. */
export async function supervise(host: Host, args: readonly string[]): Promise<number> {
  try {
    const options = parseSuperviseOptions(args);
    if (options === 'help') {
      const { runVerb } = await import('./verbs/run.ts');
      return runVerb(host, ['help', 'supervise']);
    }
    const stopped = host.stopped();
    const link = begin(host, options);
    link.report('supervise', { runtime: host.runtime });
    await stopped;
    await link.settle(SETTLE_MS);
    return 0;
  } catch (error) {
    host.complain(`agent: ${wordsOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function begin(host: Host, options: SuperviseOptions): AgentLink {
  const { pointer, enrolmentKey } = options;
  // Read again when it is needed: whoever named it hears now that it is of no use.
  if (enrolmentKey !== undefined) guardedEnrolmentKey(host, enrolmentKey);
  const store = pointer && openPointerStore(host, pointer.kind, pointer.path);
  const placed = store && { store, path: pointer.path };
  const record = store?.read().pointer;
  const imagers = options.imagers.length > 0 ? options.imagers : record?.imagers.map(parseImagerAddress);
  if (imagers === undefined)
    throw new Error('the store holds no boot pointer that names an imager: say --imager');
  const uid = uidOf(host, options.uidFile);
  lockState(host, options.state);
  const { local, place } = localStoreOf(host, options);
  const membership = new Membership(uid, local, {
    place,
    tell: (line) => host.print(`bootwright: ${line}`),
  });
  // One that is damaged does not say who this node is: nothing is begun as anybody else.
  membership.current();
  if (placed !== undefined && record === undefined) warnOfStore(host, placed);
  const bootId = readBootId(host);
  const pointed = store && (record?.image ?? '');
  const boot = { uid, bootId, bootedImage: bootedImageOf(host, { state: options.state, bootId, pointed }) };
  const link = new AgentLink(host, imagers, boot, helloMaker(host, boot, membership, store), {
    secret: () => secretOf(host, membership.kept(), { local: place, enrolmentKey }),
    cluster: () => membership.current()?.cluster.name,
    // The name of a system that is up is its own business.
    named() {},
    async flash(request, by) {
      if (flashes === undefined)
        throw new UntouchedError('this agent was told of no boot pointer store (--pointer)');
      return flashes.flash(request, by);
    },
    power(action) {
      if (!options.allowPower) throw new Error(`${action}: not allowed here (--allow-power)`);
      return () => host.reboot(action);
    },
    member: (request) => membership.answer(request),
  });
  const flashes =
    placed && new Flashes(host, placed, membership, (step, detail) => link.report(step, detail));
  link.keepIn(options.state);
  link.describe(() => discoverResources(host));
  void link.serve();
  return link;
}

/** A store that no flash may write is told of now, and not only when one is refused. */
function warnOfStore(host: Host, placed: PlacedStore): void {
  const fault = flashFault(host, placed);
  if (fault !== undefined) host.print(`bootwright: no flash will write ${placed.path}: ${fault}`);
}

/**
 * That beside the boot pointer where it has room: there the agent that boots the node looks. `place`: the option by which `agent local`
 * finds it.
 */
function localStoreOf(
  host: Host,
  { pointer, state }: SuperviseOptions,
): { local: LocalStore; place: string } {
  const beside = pointer && openLocalStore(host, { layout: pointer.kind, device: pointer.path });
  if (pointer === undefined || beside === undefined) {
    const place = placeOption('state', state);
    return { local: withAdvice(place, () => openLocalFolder(host, state)), place };
  }
  lockStore(host, pointer.path);
  return { local: beside, place: placeOption('store', `${pointer.kind}:${pointer.path}`) };
}

function uidOf(host: Host, file: string | undefined): Uid {
  if (file === undefined) return readUid(host);
  const text = readText(host, file);
  const uid = parseUid(text);
  if (uid !== undefined) return uid;
  const why = uidFault(text.trim().toLowerCase());
  throw new Error(`${file} holds no UID (${why}): one is a UUID, or serial:TEXT`);
}
