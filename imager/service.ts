/** The composition root: puts stores and servers together, starts them in order and closes them in reverse. */
import type { Logger } from 'pino';
import { wordsOf } from '../agent/protocol/words-of.ts';
import { AgentServer } from './agents/server.ts';
import { DhcpServer } from './dhcp/server.ts';
import { ControlServer, HttpServer } from './http/server.ts';
import { installedIpxe } from './images/tree.ts';
import { partingOf, systemClock } from './journal/clock.ts';
import type { Recorder } from './journal/recorder.ts';
import { controlSocketPath, type ImagerConfig } from './model/config.ts';
import { NbdServer } from './nbd/server.ts';
import { hasNativeStreams } from './nbd/stream-native.ts';
import { isFull } from './registry/log-file.ts';
import { nodeBoot } from './service/boot-choice.ts';
import { controlsOf } from './service/controls.ts';
import { dhcpConfig, reservationsOf } from './service/dhcp-settings.ts';
import { readEnrolmentKey } from './service/enrolment-key.ts';
import { readNbdTls } from './service/nbd-tls.ts';
import { readModelOf } from './service/read-model.ts';
import { startFault } from './service/start-fault.ts';
import { type Started, startedParts } from './service/started.ts';
import { openStores } from './service/stores.ts';
import { readTlsFiles } from './service/tls-files.ts';
import { TftpServer } from './tftp/server.ts';
import { hasNative } from './udp/native.ts';

export interface ImagerPorts {
  /** Undefined where the configuration leaves DHCP to others altogether. */
  dhcp?: number;
  tftp: number;
  http: number;
  /** Undefined where no certificate is configured. */
  https?: number;
  nbd: number;
  agent: number;
}

export interface Imager {
  address: string;
  /** The ports in use, also where the configuration left the choice to the system. */
  ports: ImagerPorts;
  /** Path of the control socket. */
  control: string;
  recorder: Recorder;
  /** Stops serving, answers what is in flight, flushes and closes disks and registry. Resolves when all is closed. */
  close(): Promise<void>;
}

/** The imager could not start: `message` says what, where, and what to do. Nothing is left running. */
export class StartError extends Error {}

/** Starts everything `config` asks for. Rejects with StartError, having closed what was started before. */
export async function startImager(config: ImagerConfig, { log }: { log: Logger }): Promise<Imager> {
  const { started, close } = startedParts(log);
  try {
    return { ...(await startParts(config, log, started)), close };
  } catch (error) {
    await close();
    if (error instanceof StartError) throw error;
    const place = isFull(error) ? `no room in the state folder ${config.state}: ` : '';
    throw new StartError(`${place}${wordsOf(error)}`, { cause: error });
  }
}

async function startParts(
  config: ImagerConfig,
  log: Logger,
  started: Started,
): Promise<Omit<Imager, 'close'>> {
  const clock = systemClock;
  const { address } = config.network;
  if (!hasNative()) log.warn('the native UDP sockets are not built (make build): DHCP and TFTP are slower');
  if (!hasNativeStreams()) log.warn('the native NBD streams are not built (make build): disks are slower');
  const ipxe = installedIpxe();
  const { ports } = config;
  // Servers that start later are asked for their ports and counters through these.
  const running: Partial<Record<keyof ImagerPorts, { port: number; stats(): Record<string, number> }>> = {};
  const stores = await openStores({
    config,
    log,
    ipxe,
    started,
    portOf: (service) => running[service]?.port,
  });
  const { nodes, journal, recorder, registry, directory, admissions, table, menus, files, disks, packs } =
    stores;
  const { sink } = recorder;
  const lookAtClock = partingOf(clock, log);
  recorder.watch(({ component, step }) => {
    if (component === 'dhcp' && step === 'ack') lookAtClock();
  });

  const common = (room: string) => ({ address, sink, clock, log: log.child({ room }) });
  const serve = <T extends { close(): Promise<void> }>(service: keyof ImagerPorts, start: () => Promise<T>) =>
    started(
      service,
      () =>
        start().catch((error: Error) => {
          const [port, setting] =
            service === 'https'
              ? [config.https?.port ?? 0, 'https.port']
              : [config.ports[service], `ports.${service}`];
          throw new StartError(startFault(error, service, { address, port, setting }), { cause: error });
        }),
      (part) => part.close(),
    );
  const tftp = await serve('tftp', () => TftpServer.start({ ...common('tftp'), port: ports.tftp, files }));
  if (config.nbd.tls?.mode !== 'required')
    log.warn('NBD is not over TLS alone (nbd.tls): clients without it are told apart by their addresses');
  const nbd = await serve('nbd', async () => {
    const tls = config.nbd.tls && (await readNbdTls(config.nbd.tls));
    return NbdServer.start({
      ...common('nbd'),
      ...{ port: ports.nbd, catalog: packs, clientAt: stores.clientAt },
      ...(tls === undefined ? {} : { tls }),
    });
  });
  // A node whose agent has moved to another of its addresses attaches its disks from there.
  recorder.watch(({ component, step, address }) => {
    if (component === 'agent' && step === 'hello' && address !== undefined) nbd.follow(address);
  });
  const agents = await serve('agent', () =>
    AgentServer.start({
      ...common('agents'),
      port: ports.agent,
      nodes,
      userConfigs: config.userConfigs,
      directory,
      admissions,
      enrolmentKey: readEnrolmentKey(config.agents.enrolmentKey),
      heartbeatSeconds: config.agents.heartbeatSeconds,
      lostMs: config.agents.lostSeconds * 1000,
      outputs: stores.outputs,
      isAt: stores.isAt,
    }),
  );
  Object.assign(running, { tftp, nbd, agent: agents });
  let leases: () => readonly object[] = () => [];
  const model = readModelOf({
    config,
    nodes,
    directory,
    admissions,
    table,
    disks,
    packs,
    menus,
    recorder,
    clock,
    started: new Date(clock.now()),
    connected: () => agents.connected(),
    liveness: (node) => agents.liveness(node),
    troubles: (node) => agents.troubles(node),
    leases: () => leases(),
    problems: () => [table, disks, menus, registry, journal].flatMap((store) => store.problems()),
    ports: () => Object.fromEntries(Object.entries(running).map(([service, { port }]) => [service, port])),
    stats: () => ({
      ...Object.fromEntries(Object.entries(running).map(([service, part]) => [service, part.stats()])),
      journal: journal.stats(),
      menus: menus.stats(),
      packs: packs.stats(),
    }),
    gauges: () => ({ agent: agents.gauges(), nbd: nbd.gauges() }),
  });
  const served = packs.files(files);
  const http = await serve('http', () =>
    HttpServer.start({ ...common('http'), port: ports.http, files: served, model }),
  );
  running.http = http;
  const { https: secure } = config;
  if (secure !== undefined)
    running.https = await serve('https', async () => {
      const tls = await readTlsFiles('https', secure);
      return HttpServer.start({ ...common('https'), port: secure.port, files: served, model, tls });
    });
  const controlLog = log.child({ room: 'control' });
  const control = await started(
    'control socket',
    () =>
      ControlServer.start({
        path: controlSocketPath(config),
        model,
        controls: controlsOf({
          config,
          nodes,
          directory,
          admissions,
          outputs: stores.outputs,
          table,
          files,
          disks,
          packs,
          menus,
          httpPort: http.port,
          agents,
          sink,
          clock,
          log: controlLog,
        }),
        log: controlLog,
      }),
    (part) => part.close(),
  );
  // Closed before the control socket: who waits for an addition is told that it was interrupted.
  await started(
    'additions',
    () => table,
    (part) => part.close(),
  );
  // DHCP last: a node it answers finds everything else serving.
  const startDhcp = () =>
    DhcpServer.start({
      ...common('dhcp'),
      mode: config.dhcp.mode === 'proxy' ? 'proxy' : 'server',
      config: dhcpConfig(config, new Set(Object.keys(ipxe)), http.port, (name) =>
        nodeBoot(nodes.byName(name), directory.get(name)?.pointer ?? null, config.boot.image),
      ),
      reservations: reservationsOf(nodes),
      inUse: (client) =>
        agents.connected().some((agent) => agent.address === client) ||
        nbd.connections().some((connection) => connection.address === client),
      registry,
      ports: { server: ports.dhcp, client: ports.dhcpClient },
    });
  if (config.dhcp.mode === 'proxy')
    log.info('proxyDHCP: another server gives addresses; a node has the one it asks that server for');
  if (config.dhcp.mode !== 'server' && config.network.pools.length > 0)
    log.warn(`network.pool is not used: dhcp.mode is ${config.dhcp.mode}`);
  const dhcp = config.dhcp.mode === 'off' ? undefined : await serve('dhcp', startDhcp);
  if (dhcp !== undefined) {
    running.dhcp = dhcp;
    leases = () => dhcp.leases();
  }
  return {
    address,
    ports: {
      ...(dhcp === undefined ? {} : { dhcp: dhcp.port }),
      ...(running.https === undefined ? {} : { https: running.https.port }),
      ...{ tftp: tftp.port, http: http.port, nbd: nbd.port, agent: agents.port },
    },
    control: control.path,
    recorder,
  };
}
