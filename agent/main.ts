/** Composition root of the agent that boots a node, as process 1 of an initramfs. */
import { run } from './core/run.ts';
import type { Boot } from './core/state.ts';
import { type BootLine, parseBootLine } from './linux/cmdline.ts';
import { diskAttacher } from './linux/disks.ts';
import { openPointerStore, type PlacedStore, pointersOf } from './linux/eeprom.ts';
import { Flashes } from './linux/flash.ts';
import { helloMaker, readBootId } from './linux/hello.ts';
import type { Host } from './linux/host.ts';
import { parseImagerAddress } from './linux/imager-address.ts';
import { openJournal, STATE_DIRECTORY } from './linux/journal.ts';
import { AgentLink } from './linux/link.ts';
import { openLocalDisk } from './linux/local-disk.ts';
import { openLocalStore } from './linux/local-store.ts';
import { Membership } from './linux/membership.ts';
import { networkSetter } from './linux/network.ts';
import { openOutputs } from './linux/outputs.ts';
import { readText } from './linux/read-text.ts';
import { discoverResources } from './linux/resources/discover.ts';
import { scriptRunner } from './linux/scripts.ts';
import { secretOf } from './linux/secret.ts';
import { serviceStarter } from './linux/services.ts';
import { lockState, lockStore } from './linux/state-lock.ts';
import { readUid } from './linux/uid.ts';
import { watchOver } from './linux/watchdog.ts';
import type { Ports } from './ports.ts';
import type { PointerStore } from './protocol/pointer/store.ts';

const MODULE_LIST = '/etc/bootwright/modules';

type Restart = (action: 'reboot' | 'poweroff') => void;

export async function bootNode(host: Host): Promise<void> {
  // Ends whatever line the firmware left open.
  host.print('');
  host.print(`bootwright: step agent ${host.uptime().toFixed(3)}`);
  prepareKernel(host);
  const line = parseBootLine(readText(host, '/proc/cmdline'));
  configureNetwork(host, line);
  if (line.pointer.layout === 'efivars') host.mount('efivarfs', line.pointer.device, 'efivarfs', '');
  const store = openPointerStore(host, line.pointer.layout, line.pointer.device);
  const boot: Boot = {
    bootId: readBootId(host),
    pointer: store.read().pointer,
    bootedImage: line.image,
    firmwareCounts: store.layout.firmwareCounts,
  };
  const watchdog = watchOver(host, line.watchdogSeconds);
  const restart = (action: 'reboot' | 'poweroff') => {
    watchdog?.stop();
    host.reboot(action);
  };
  const beside = openLocalStore(host, line.pointer, (why) =>
    host.print(`bootwright: the key is on the disk: ${why}`),
  );
  if (beside !== undefined) lockStore(host, line.pointer.device);
  const membership = new Membership(readUid(host), beside, {
    tell: (line) => host.print(`bootwright: ${line}`),
  });
  const place = { store, path: line.pointer.device };
  const link = linkOf(host, place, membership, boot, restart);
  if (beside !== undefined) void link.serve();
  const keys = beside === undefined ? 'disk' : 'beside';
  const network = networkSetter({
    ...{ host, link, booted: line.network },
    imagers: boot.pointer?.imagers ?? [],
  });
  const end = await run({ ...portsOf(host, { store, membership, link, keys }, restart), network }, boot);
  // Only now: it takes time that the boot has not got.
  if (end.at !== 'rebooting') link.describe(() => discoverResources(host));
}

/** Mounts the kernel's file systems and loads the modules of the initramfs in the order listed there. */
function prepareKernel(host: Host): void {
  for (const [type, target] of [
    ['proc', '/proc'],
    ['sysfs', '/sys'],
    ['devtmpfs', '/dev'],
  ] as const) {
    host.makeDirectory(target);
    host.mount(type, target, type, '');
  }
  for (const path of readText(host, MODULE_LIST).split('\n')) if (path !== '') host.loadModule(path);
}

function configureNetwork(host: Host, { network }: BootLine): void {
  host.configureInterface(network.device, network.address, network.prefix, network.gateway);
  if (network.hostname !== undefined) host.setHostName(network.hostname);
}

function linkOf(
  host: Host,
  place: PlacedStore,
  membership: Membership,
  boot: Boot,
  restart: Restart,
): AgentLink {
  const { bootId, bootedImage } = boot;
  const identity = { uid: membership.uid, bootId, bootedImage };
  const hello = helloMaker(host, identity, membership, place.store);
  const imagers = (boot.pointer?.imagers ?? []).map(parseImagerAddress);
  const link = new AgentLink(host, imagers, identity, hello, {
    secret: () => secretOf(host, membership.kept()),
    cluster: () => membership.current()?.cluster.name,
    named: (hostname) => host.setHostName(hostname),
    flash: (request, by) => flashes.flash(request, by),
    power: (action) => () => restart(action),
    member: (request) => membership.answer(request),
  });
  const flashes = new Flashes(host, place, membership, (step, detail) => link.report(step, detail));
  return link;
}

interface Parts {
  store: PointerStore;
  membership: Membership;
  link: AgentLink;
  /** Where the node's key is: beside its boot pointer, or on its disk. */
  keys: 'beside' | 'disk';
}

function portsOf(
  host: Host,
  { store, membership, link, keys }: Parts,
  restart: Restart,
): Omit<Ports, 'network'> {
  const attacher = diskAttacher(host);
  return {
    disks: {
      async mountRoot(disks, imagers) {
        // Damaged, it does not say who may boot this node, nor whose plan to trust: it is not mounted at all.
        membership.current();
        try {
          await attacher.mountRoot(disks, imagers);
          lockState(host);
          if (keys === 'disk') membership.keepOn(disks[0]!, openLocalDisk(host, disks[0]!));
          link.keepIn(STATE_DIRECTORY);
        } finally {
          // Not before: who the node is it knows from its disk. Where that fails it says what it knows, as who it can.
          if (keys === 'disk') void link.serve();
        }
      },
    },
    journal: openJournal(host, () => membership.current()),
    scripts: scriptRunner(host),
    outputs: openOutputs(host),
    services: serviceStarter(host),
    link,
    pointers: pointersOf(store, (pointer) => link.pointed(pointer)),
    power: { reboot: () => restart('reboot') },
    console: (line) => host.print(`bootwright: ${line}`),
    uptime: () => host.uptime(),
  };
}
