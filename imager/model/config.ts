/** The checked configuration the imager runs on: paths absolute, scripts read, references resolved. */
import type { Script } from '../../agent/protocol/messages.ts';

export interface NetworkConfig {
  /** The imager's own address; every server listens on it. */
  address: string;
  /** Length of the network mask in bits. */
  prefix: number;
  pool?: { from: string; to: string };
  router?: string;
  dns?: string[];
  leaseSeconds: number;
}

/** Port numbers; 0 lets the system choose (tests). */
export interface PortsConfig {
  dhcp: number;
  dhcpClient: number;
  tftp: number;
  http: number;
  nbd: number;
  agent: number;
}

export interface NodeConfig {
  name: string;
  /** Lower case, with colons. A node has a MAC, a UID, or both. */
  mac?: string;
  /** Canonical form of agent/protocol/uid.ts. */
  uid?: string;
  address?: string;
  hostname: string;
  userConfig?: string;
  /** Commands (program and arguments, no shell) that switch its power; run in the configuration file's directory. */
  power?: { on?: string[]; off?: string[] };
}

export interface UserConfig {
  secondReboot: boolean;
  scripts: Script[];
  services: { init: string[]; ports: number[]; timeoutSeconds: number };
}

export interface ImagerConfig {
  /** Absolute path of the file this was read from. */
  file: string;
  /** Absolute path of the state directory. */
  state: string;
  cluster: string;
  network: NetworkConfig;
  ports: PortsConfig;
  /** Image offered over DHCP to iPXE clients that have no pointer of their own. */
  boot?: { image: string };
  nodes: NodeConfig[];
  userConfigs: Record<string, UserConfig>;
}

/** Where the control socket of the imager with this configuration is. */
export function controlSocketPath(config: ImagerConfig): string {
  return `${config.state}/control.sock`;
}
