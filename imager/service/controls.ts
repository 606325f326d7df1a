/** What the control API does: flash, power, additions. Wishes are checked here, against everything there is. */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Admissions } from '../agents/admissions.ts';
import type { Directory } from '../agents/directory.ts';
import type { Outputs } from '../agents/outputs.ts';
import { PushError } from '../agents/pushes.ts';
import type { AgentServer } from '../agents/server.ts';
import { TakenError } from '../definitions/store.ts';
import type { Disks } from '../disks/catalog.ts';
import { DiskWork } from '../disks/disk-work.ts';
import { Removals } from '../disks/removals.ts';
import type { Controls } from '../http/control-routes.ts';
import { ApiError, unknownName } from '../http/errors.ts';
import type { BootFiles } from '../images/boot-files.ts';
import { servedFiles } from '../images/generated.ts';
import { type BootImage, ImageError } from '../images/image.ts';
import { addLinuxNbi } from '../images/nbi/add.ts';
import { otherProcessor } from '../images/processor.ts';
import { SealError } from '../images/seal.ts';
import type { BootTable } from '../images/table.ts';
import type { Clock } from '../journal/clock.ts';
import type { EventSink } from '../journal/event.ts';
import type { Menus } from '../menus/menus.ts';
import { checkBoots } from '../menus/show.ts';
import type { ImagerConfig, NodeConfig } from '../model/config.ts';
import type { NodeIndex } from '../model/nodes.ts';
import type { Flashed, Membership, PowerAction, Powered, Undefined } from '../model/views.ts';
import type { Packs } from '../packs/packs.ts';
import { diskControls } from './disk-controls.ts';
import { claimOn } from './disk-policy.ts';
import { membershipOf } from './membership.ts';
import { runPowerCommand } from './power-command.ts';
import { wish } from './wish.ts';

export interface ControlParts {
  config: ImagerConfig;
  nodes: NodeIndex;
  directory: Directory;
  admissions: Admissions;
  outputs: Outputs;
  table: BootTable;
  files: BootFiles;
  disks: Disks;
  packs: Packs;
  menus: Menus;
  /** Of the HTTP server that serves `files`. */
  httpPort: number;
  agents: Pick<AgentServer, 'flash' | 'power' | 'undefine' | 'connected'>;
  sink: EventSink;
  clock: Clock;
  log: Logger;
}

/** What it takes where no boot starts the agent. */
const SUPERVISED = 'where its own system is up, start its agent there (agent supervise)';

export function controlsOf(parts: ControlParts): Controls {
  const { config, nodes, outputs, table, files, disks, packs, menus } = parts;
  const removals = new Removals(disks, (disk) => refuseClaimed(parts, disk));
  return {
    flash: (name, target) => wish(() => flash(parts, name, target)),
    power: (name, action) => power(parts, name, action),
    define: (name, number) => define(parts, name, number),
    undefine: (name) => undefine(parts, name),
    outputs: (name) => outputs.of(nodeNamed(nodes, name).name),
    addImage: (image) => wish(() => table.add(image)),
    addNbi: (image) => wish(() => addNbi(table, image)),
    verifyImage: (name) => wish(() => verifyImage(table, name)),
    signImage: (name) => wish(() => signImage(table, name)),
    addBase: ({ name, file }) => wish(() => disks.addBase(name, file)),
    baseProgress: (name) => disks.additionProgress(name),
    packBase: (name) => wish(() => packs.make(name)),
    checkMenus: () => checkBoots(menus, config, files),
    createDisk: ({ name, base }) => wish(() => disks.create(name, base)),
    baseLoss: (name) => wish(() => removals.baseLoss(name)),
    removeBase: (name) => wish(() => removals.removeBase(name)),
    disks: diskControls(new DiskWork(disks, () => parts.clock.now()), removals),
  };
}

async function addNbi(
  table: BootTable,
  image: { name: string; from: string; args?: string },
): Promise<BootImage> {
  const from = table.get(image.from);
  if (from === undefined) throw unknownImage(table, image.from);
  return addLinuxNbi(table, from, image);
}

async function verifyImage(table: BootTable, name: string): Promise<string[]> {
  const found = await table.verify(name);
  if (found === undefined) throw unknownImage(table, name);
  return found;
}

async function signImage(table: BootTable, name: string): Promise<BootImage> {
  const signed = await table.sign(name);
  if (signed === undefined) throw unknownImage(table, name);
  return signed;
}

function unknownImage(table: BootTable, name: string): ApiError {
  return unknownName(
    'boot image',
    name,
    table.list().map((image) => image.name),
  );
}

async function flash(
  parts: ControlParts,
  name: string,
  target: { image: string; disks: string[] },
): Promise<Flashed> {
  const { config, nodes, admissions, disks, agents, httpPort, sink, clock } = parts;
  const node = nodeNamed(nodes, name);
  const known = disks.names();
  for (const disk of target.disks) if (!known.includes(disk)) throw unknownName('disk', disk, known);
  if (new Set(target.disks).size < target.disks.length)
    throw new ApiError(400, `the same disk twice: ${target.disks.join(', ')}`);
  const { image } = target;
  const entry = await soundImage(parts, name, image);
  const request = {
    image,
    disks: target.disks,
    imagers: [config.network.address],
    cluster: config.cluster,
    deployment: randomBytes(8).toString('hex'),
  };
  const sealed = admissions.sealImage(name, request, servedFiles(entry));
  const signed = sealed && { port: httpPort, ...sealed };
  const { old, pointer } = await agents
    .flash(node.name, { ...request, ...(signed && { signed }) })
    .catch((error: unknown) => {
      throw pushFailure(error, node.name);
    });
  sink({
    at: clock.now(),
    component: 'imager',
    step: 'flash',
    node: name,
    detail: { image, disks: target.disks.join(','), deployment: request.deployment },
  });
  return { node: name, old, pointer, verified: signed !== undefined };
}

/**
 * The image that a node is to be flashed with. Rejects with ApiError where its files are not all there and what was added, or are for
 * another processor than the node has told of: before the node has it for its next boot, and so that whoever watches hears of it.
 */
async function soundImage(
  { table, directory, sink, clock, log }: ControlParts,
  node: string,
  image: string,
): Promise<BootImage> {
  const refused = (reason: string, why: string): ApiError => {
    sink({ at: clock.now(), component: 'imager', step: 'refused', reason, node, detail: { image, why } });
    log.warn({ node, image, reason }, `flash refused: ${why}`);
    return new ApiError(409, why);
  };
  let entry: BootImage | undefined;
  try {
    entry = table.get(image);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    throw refused(error instanceof SealError ? 'tampered' : 'damaged', error.message);
  }
  if (entry === undefined) throw unknownImage(table, image);
  const [fault] = await verifyImage(table, image);
  if (fault !== undefined)
    throw refused('tampered', `image ${image} is not what was added: ${fault}; ${table.mending(image)}`);
  const other = otherProcessor(entry.arch, directory.inventories.of(node).last?.resources ?? []);
  if (other !== undefined) {
    const has = `${node} has an ${other} processor, as told at its last join`;
    throw refused('other-processor', `image ${image} is for ${entry.arch}; ${has}`);
  }
  return entry;
}

/**
 * Through the agent where it is connected: the node then unmounts and flushes first. Else, or where the agent does
 * not do it, through the configured commands. Only these can switch a node on.
 */
async function power(parts: ControlParts, name: string, action: PowerAction): Promise<Powered> {
  const node = nodeNamed(parts.nodes, name);
  const commands = commandsFor(node, action);
  const connected = parts.agents.connected().some((each) => each.node === name);
  const done = (via: Powered['via']): Powered => {
    parts.sink({
      at: parts.clock.now(),
      component: 'imager',
      step: 'power',
      node: name,
      detail: { action, via },
    });
    return { node: name, action, via };
  };
  if (connected && action !== 'on') {
    try {
      await parts.agents.power(name, action === 'off' ? 'poweroff' : 'reboot');
      return done('agent');
    } catch (error) {
      if (commands === undefined) throw pushFailure(error, name);
    }
  }
  if (commands === undefined) {
    const missing = action === 'on' || action === 'off' ? `power.${action}` : 'power.on and power.off';
    const agent =
      action === 'on' ? 'an agent cannot switch its own node on' : `no agent of ${name} is connected`;
    throw new ApiError(409, `${agent}, and the configuration has no ${missing} for ${name}`);
  }
  for (const command of commands)
    await runPowerCommand(command, dirname(parts.config.file)).catch((error: Error) => {
      throw new ApiError(502, error.message);
    });
  return done('command');
}

async function define(
  { nodes, admissions, sink, clock }: ControlParts,
  name: string,
  number: number | undefined,
): Promise<Membership> {
  nodeNamed(nodes, name);
  const present = admissions.definitions.ofNode(name);
  if (present?.state === 'defined')
    throw new ApiError(409, `${name} is defined already, with number ${present.number}: undefine it first`);
  await admissions.define(name, number).catch((error: Error) => {
    throw error instanceof TakenError ? new ApiError(409, error.message) : error;
  });
  const detail = number === undefined ? {} : { number };
  sink({ at: clock.now(), component: 'imager', step: 'define', node: name, detail });
  return membershipOf(admissions, name);
}

async function undefine(
  { nodes, admissions, agents, sink, clock }: ControlParts,
  name: string,
): Promise<Undefined> {
  // One that was renamed in the configuration, or removed from it, may still be defined.
  const { definitions } = admissions;
  if (definitions.ofNode(name) === undefined && definitions.leftOf(name).length === 0) nodeNamed(nodes, name);
  const done = await agents.undefine(name);
  const { erased } = done;
  sink({ at: clock.now(), component: 'imager', step: 'undefine', node: name, detail: { erased } });
  return { node: name, ...done };
}

/** Throws ApiError for a disk that a node needs at its next boot. */
function refuseClaimed({ nodes, directory, admissions }: ControlParts, disk: string): void {
  const keyOf = nodes.all.find(({ name }) => admissions.definitions.ofNode(name)?.disk === disk);
  const claim = claimOn(disk, { owner: directory.ownerOf(disk), keyOf: keyOf?.name });
  if (claim !== undefined) throw new ApiError(409, claim);
}

/** The commands that do `action`, in order; undefined where one is not configured. */
function commandsFor({ power }: NodeConfig, action: PowerAction): string[][] | undefined {
  const wanted = action === 'on' ? [power?.on] : action === 'off' ? [power?.off] : [power?.off, power?.on];
  const found = wanted.filter((command) => command !== undefined);
  return found.length === wanted.length ? found : undefined;
}

function nodeNamed(nodes: NodeIndex, name: string): NodeConfig {
  const node = nodes.byName(name);
  if (node !== undefined) return node;
  throw unknownName(
    'node',
    name,
    nodes.all.map((each) => each.name),
  );
}

function pushFailure(error: unknown, node: string): unknown {
  if (!(error instanceof PushError)) return error;
  switch (error.reason) {
    case 'conflict':
      return new ApiError(409, error.message);
    case 'not-connected':
      return new ApiError(409, `${error.message}: power ${node} on and let it boot; ${SUPERVISED}`);
    case 'deadline':
      return new ApiError(504, error.message);
    default:
      return new ApiError(502, `${node}: ${error.message}`);
  }
}
