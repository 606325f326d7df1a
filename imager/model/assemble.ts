/** Puts the checked configuration together from the checked file: references resolved, absent keys left out. */
import { dirname, resolve } from 'node:path';
import type { AdapterSetting } from '../../agent/protocol/adapter-setting.ts';
import { numberToIpv4 } from '../../agent/protocol/ipv4.ts';
import { architectureNamed } from './architectures.ts';
import type {
  BootMenu,
  DhcpSettings,
  ImagerSettings,
  NetworkConfig,
  NodeConfig,
  OptionConfig,
} from './config.ts';
import { networkRange, parseNetwork } from './ipv4.ts';
import type { ConfigFile } from './schema.ts';

/** Seconds of a menu that waits (PXE specification 2.1, table 2-1, PXE_MENU_PROMPT). */
const NO_LIMIT = 255;

/** The settings in `file`, which was read from `path` (absolute): relative paths in it count from there. */
export function assemble(file: ConfigFile, path: string): ImagerSettings {
  const at = (relative: string) => resolve(dirname(path), relative);
  const { templates, https } = file;
  return {
    file: path,
    state: at(file.state),
    cluster: file.cluster,
    network: networkOf(file.network),
    ports: file.ports,
    dhcp: dhcpOf(file),
    boot: bootOf(file.boot),
    ...(templates === undefined ? {} : { templates: at(templates) }),
    ...(https === undefined ? {} : { https: { port: https.port, cert: at(https.cert), key: at(https.key) } }),
    nbd: nbdOf(file, at),
    agents: agentsOf(file, at),
    nodes: file.nodes.map(nodeOf),
  };
}

function agentsOf(
  { agents: { enrolmentKey, ...agents } }: ConfigFile,
  at: (relative: string) => string,
): ImagerSettings['agents'] {
  return { ...agents, ...(enrolmentKey === undefined ? {} : { enrolmentKey: at(enrolmentKey) }) };
}

function nbdOf({ nbd: { tls } }: ConfigFile, at: (relative: string) => string): ImagerSettings['nbd'] {
  if (tls === undefined || tls.mode === 'off') return {};
  const { mode, cert, key, ca, psk } = tls;
  const x509 =
    cert === undefined || key === undefined || ca === undefined
      ? undefined
      : { cert: at(cert), key: at(key), ca: at(ca) };
  return { tls: present({ mode, x509, psk: psk === undefined ? undefined : at(psk) }) };
}

/** `T` without the keys that are undefined. */
type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function present<T extends object>(value: T): Present<T> {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Present<T>;
}

function networkOf({ pool, ...network }: ConfigFile['network']): NetworkConfig {
  return { ...present(network), pools: Array.isArray(pool) ? pool : pool === undefined ? [] : [pool] };
}

function dhcpOf({ dhcp, network }: ConfigFile): DhcpSettings {
  return {
    mode: dhcp.mode,
    probe: dhcp.probe,
    subnets: dhcp.subnets.map((subnet) => {
      const { address, prefix } = parseNetwork(subnet.network)!;
      return {
        ...present(subnet),
        network: numberToIpv4(networkRange(address, prefix).first),
        prefix,
        leaseSeconds: subnet.leaseSeconds ?? network.leaseSeconds,
      };
    }),
    options: dhcp.options.map(optionOf),
  };
}

function optionOf(option: ConfigFile['dhcp']['options'][number]): OptionConfig {
  const { code, text, hex, addresses } = option;
  const value =
    text !== undefined
      ? Buffer.from(text, 'latin1')
      : hex !== undefined
        ? Buffer.from(hex.replaceAll(':', ''), 'hex')
        : (addresses ?? []).flatMap((address) => address.split('.').map(Number));
  const { architecture, ...others } = option.for ?? {};
  const number = architecture === undefined ? undefined : architectureNamed(architecture)?.number;
  return {
    code,
    value: Uint8Array.from(value),
    ...(option.for === undefined ? {} : { for: present({ ...others, architecture: number }) }),
  };
}

type FileMenu = NonNullable<ConfigFile['boot']['menu']>;

function bootOf<T extends { menu?: FileMenu | undefined }>({ menu, ...boot }: T) {
  return { ...present(boot), ...(menu === undefined ? {} : { menu: menuOf(menu) }) };
}

function menuOf({ seconds = NO_LIMIT, items, ...menu }: FileMenu): BootMenu {
  return {
    ...menu,
    seconds,
    items: items.map(({ name, file, boot }) => ({ name, boot: file === undefined ? boot! : { file } })),
  };
}

type FileAdapter = NonNullable<ConfigFile['nodes'][number]['adapters']>[number];

function nodeOf(node: ConfigFile['nodes'][number]): NodeConfig {
  const { boot, power, adapters, ...others } = node;
  return {
    ...present(others),
    ...(adapters === undefined ? {} : { adapters: adapters.map(adapterOf) }),
    hostname: node.hostname ?? node.name,
    ...(boot === undefined ? {} : { boot: bootOf(boot) }),
    ...(power === undefined ? {} : { power: present(power) }),
  };
}

function adapterOf({ mac, setMac, address, gateway }: FileAdapter): AdapterSetting {
  const network = address === undefined ? undefined : { ...parseNetwork(address)!, gateway };
  return present({ mac, setMac, network: network && present(network) });
}
