/**
 * Sets the node's adapters as its plan says, while its disk is attached and in use over one of them. Connections outlive another
 * hardware address. An address that another takes the place of stays beside it until the imager has the node at the new one and no
 * disk is attached from the former; where no imager answers, all is put back.
 */
import {
  type AdapterChange,
  type AdapterState,
  adapterChanges,
  isChange,
  isRouteLost,
  isSameNetwork,
  type NetworkOutcome,
  routeLast,
} from '../core/network.ts';
import type { Network } from '../ports.ts';
import type { AdapterSetting } from '../protocol/adapter-setting.ts';
import { wordsOf } from '../protocol/words-of.ts';
import type { NetworkSettings } from './cmdline.ts';
import type { Host } from './host.ts';
import { NBD_PORT } from './keeper.ts';
import type { AgentLink } from './link.ts';
import { readText } from './read-text.ts';
import { isConnectedFrom } from './tcp-table.ts';

const ADAPTERS = '/sys/class/net';
/** A switch may keep a port that has just come up to itself for twice 15 seconds (IEEE Std 802.1D-2004, forward delay). */
const PROOF_SECONDS = 45;
const PAUSE_MS = 500;
const CONNECT_MS = 2000;
/** How long a boot waits for its first welcome before it takes itself for detached. */
const WELCOME_MS = 2000;
const LOOK_MS = 50;
/** How often the former address is looked at: soon at first. */
const FIRST_LOOK_MS = 250;
const LAST_LOOK_MS = 10_000;
const REFUSED = 'the imager refuses this node with what its plan says';
const ROUTELESS = 'the node would have no default route';
const PUT_BACK = 'its adapters are as the firmware left them';

export interface NetworkParts {
  host: Host;
  /** As the firmware left the adapter that the node booted over. */
  booted: NetworkSettings;
  link: Pick<AgentLink, 'connectedSince' | 'refusedSince' | 'renew' | 'report'>;
  /** Addresses of the imagers that the boot pointer names. */
  imagers: readonly string[];
}

export function networkSetter(parts: NetworkParts): Network {
  return {
    async set(settings) {
      try {
        return await set(settings, parts);
      } catch (error) {
        return { set: [], faults: [wordsOf(error)] };
      }
    },
  };
}

async function set(settings: readonly AdapterSetting[], parts: NetworkParts): Promise<NetworkOutcome> {
  const { host, booted, link } = parts;
  const { device: name, address, prefix, gateway } = booted;
  const former: AdapterState = { name, mac: macOf(host, name), network: { address, prefix, gateway } };
  const present = host.list(ADAPTERS).map((each) => ({ name: each, mac: macOf(host, each) }));
  const { changes, faults } = adapterChanges(settings, present, former);
  // Asked before anything is changed: of a node that no imager has now, none can tell whether it is still there.
  const attached = await isAttached(host, link);
  const done = changes.filter((change) => {
    const fault = attempt(change, host);
    if (fault !== undefined) faults.push(fault);
    return fault === undefined;
  });
  if (isRouteLost(changes, done)) {
    putBack(done, host);
    return { set: [], faults: [...faults, `${ROUTELESS}: ${PUT_BACK}`] };
  }
  if (!done.some(isChange)) return { set: done.map(({ to }) => to), faults };
  const why = await proofFault(attached, parts);
  if (why !== undefined) {
    putBack(done, host);
    return { set: [], faults: [...faults, `${why}: ${PUT_BACK}`] };
  }
  if (done.some(({ from, to }) => from.name === name && isMoved(from, to)))
    leave(done, attached, parts).catch((error) => host.print(`bootwright: ${wordsOf(error)}`));
  return { set: done.map(({ to }) => to), faults };
}

async function isAttached(host: Host, link: NetworkParts['link']): Promise<boolean> {
  const deadline = host.uptime() + WELCOME_MS / 1000;
  while (link.connectedSince === undefined && host.uptime() < deadline) await host.sleep(LOOK_MS);
  return link.connectedSince !== undefined;
}

/** Makes one change; gives why it could not be made, and then the adapter is as before. */
function attempt({ from, to }: AdapterChange, host: Host): string | undefined {
  try {
    put(host, from, to, isMoved(from, to) ? from.network?.address : undefined);
    return undefined;
  } catch (error) {
    putBack([{ from, to: { ...to, mac: macOf(host, to.name) } }], host);
    return wordsOf(error);
  }
}

function put(host: Host, from: AdapterState, to: AdapterState, kept?: string): void {
  const { name, mac, network } = to;
  if (mac !== from.mac) host.setMac(name, mac);
  // Also with a new hardware address alone: routes may have gone with it, and others do not know it yet.
  const named = mac !== from.mac && network !== undefined;
  if (named || !isSameNetwork(from.network, network)) host.readdress(name, network, kept);
}

function isMoved(from: AdapterState, to: AdapterState): boolean {
  return from.network !== undefined && from.network.address !== to.network?.address;
}

/**
 * Why the node cannot be left like this; undefined where an imager welcomes it as it is now, or can be reached where none had
 * welcomed it before.
 */
async function proofFault(attached: boolean, parts: NetworkParts): Promise<string | undefined> {
  const { host, link } = parts;
  const changed = host.uptime();
  const deadline = changed + PROOF_SECONDS;
  do {
    const answer = await (attached ? moveLink(link, changed) : tryDisks(parts));
    if (answer === 'welcomed') return undefined;
    if (answer === 'refused') return REFUSED;
    await host.sleep(PAUSE_MS);
  } while (host.uptime() < deadline);
  return `no imager answered for ${PROOF_SECONDS} s`;
}

/**
 * Has the agent connected from where the node is since `changed`. A connection that has ended is made anew by itself: that counts,
 * and that it was refused. One begun at that very tick of the clock may have been begun before: it does not.
 */
async function moveLink(link: NetworkParts['link'], changed: number): ReturnType<AgentLink['renew']> {
  const since = link.connectedSince;
  if (since === undefined) return (link.refusedSince ?? -1) > changed ? 'refused' : 'unreachable';
  return since > changed ? 'welcomed' : link.renew();
}

/** Its disk is served by one of the imagers, whether or not there is anybody to welcome it. */
async function tryDisks({ host, imagers }: NetworkParts): Promise<'welcomed' | 'unreachable'> {
  for (const imager of imagers) {
    try {
      (await host.connect(imager, NBD_PORT, CONNECT_MS)).close();
      return 'welcomed';
    } catch {
      // The next one may have it.
    }
  }
  return 'unreachable';
}

/**
 * Gives the former address up once nothing that the node needs is connected from it any more, however long that takes. A node that
 * was detached learns only now whether its imager has it like this.
 */
async function leave(done: readonly AdapterChange[], welcomed: boolean, parts: NetworkParts): Promise<void> {
  const { host, link, booted } = parts;
  const changed = host.uptime();
  let moved = welcomed;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(2 * pause, LAST_LOOK_MS)) {
    const answer = moved ? 'welcomed' : await moveLink(link, changed);
    if (answer === 'refused') {
      putBack(done, host);
      link.report('network-failed', { why: `${REFUSED}: ${PUT_BACK}` });
      return;
    }
    moved = answer === 'welcomed';
    // The imager ends the attachments of a node that has moved.
    const table = readText(host, '/proc/net/tcp');
    if (moved && !isConnectedFrom(table, booted.address, NBD_PORT)) break;
    await host.sleep(pause);
  }
  host.dropAddress(booted.device, booted.address);
}

/** As far as it goes: an adapter that is not to be put back keeps none of the others from it. */
function putBack(done: readonly AdapterChange[], host: Host): void {
  for (const { from, to } of routeLast(done.map(({ from, to }) => ({ from: to, to: from })))) {
    try {
      put(host, from, to);
    } catch (error) {
      host.print(`bootwright: ${wordsOf(error)}`);
    }
  }
}

function macOf(host: Host, name: string): string {
  const path = `${ADAPTERS}/${name}/address`;
  // Also a file of the bonding driver, which is no adapter.
  return host.exists(path) ? readText(host, path).trim() : '';
}
