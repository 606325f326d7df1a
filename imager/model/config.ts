/** The checked configuration the imager runs on: paths absolute, scripts read, references resolved. */
import type { AdapterSetting } from '../../agent/protocol/adapter-setting.ts';
import type { Script } from '../../agent/protocol/messages.ts';

/** Both ends included. */
export interface AddressRange {
  from: string;
  to: string;
}

export interface NetworkConfig {
  /** The imager's own address; every server listens on it. */
  address: string;
  /** Length of the network mask in bits. */
  prefix: number;
  /** Addresses for those that have none reserved. */
  pools: AddressRange[];
  router?: string;
  dns?: string[];
  /** Domain of the hosts (option 15). */
  domain?: string;
  leaseSeconds: number;
  /** Where boot files are loaded from, if not from the imager. */
  nextServer?: string;
}

/** A network behind a relay agent. */
export interface SubnetConfig extends Omit<NetworkConfig, 'address'> {
  /** Its first address, e.g. 10.78.0.0. */
  network: string;
  /** Circuit ids whose clients belong here, lower-case hexadecimal. */
  circuits: string[];
}

/** An option replies carry beside, or instead of, what the imager puts there. */
export interface OptionConfig {
  code: number;
  value: Uint8Array;
  /** Who gets it; everybody without it. All that is named has to fit. */
  for?: {
    node?: string;
    /** How the vendor class (option 60) begins, or a user class (option 77). */
    class?: string;
    /** Number of option 93. */
    architecture?: number;
  };
}

/** A menu that PXE firmware shows. */
export interface BootMenu {
  prompt: string;
  /** Until the first item is taken: 0 to 254; 255: the menu is shown at once and waits. */
  seconds: number;
  items: BootMenuItem[];
  /** Whether iPXE shows it too. */
  ipxe: boolean;
}

export interface BootMenuItem {
  name: string;
  /** A file, what firmware would boot without the menu, or its own disk. */
  boot: { file: string } | 'normal' | 'local';
}

export interface DhcpSettings {
  /** `proxy`: somebody else gives the addresses, the imager says what to boot. */
  mode: 'server' | 'proxy' | 'off';
  /** Ask whether somebody uses an address before it is offered to who is no boot firmware. */
  probe: boolean;
  subnets: SubnetConfig[];
  options: OptionConfig[];
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
  /** Lower case, with colons. A node has at least one of mac, uid, clientId and circuit. */
  mac?: string;
  /** Canonical form of agent/protocol/uid.ts. */
  uid?: string;
  /** Option 61, lower-case hexadecimal. */
  clientId?: string;
  /** Option 82 sub-option 1, lower-case hexadecimal. */
  circuit?: string;
  /** Board serial number, lower case. */
  serial?: string;
  /** Of the nodes' network or of a subnet. */
  address?: string;
  /** What its agent makes of its adapters, in each boot of a deployment that was made with it. */
  adapters?: readonly AdapterSetting[];
  hostname: string;
  boot?: { image?: string; file?: string; menu?: BootMenu };
  /** For templates. */
  variables?: Readonly<Record<string, string>>;
  userConfig?: string;
  /** Commands (program and arguments, no shell) that switch its power; run in the configuration file's directory. */
  power?: { on?: string[]; off?: string[] };
}

export interface UserConfig {
  secondReboot: boolean;
  scripts: Script[];
  services: { init: string[]; ports: number[]; timeoutSeconds: number };
}

/** NBD over TLS, where it is not off. Paths are absolute. */
export interface NbdTlsConfig {
  mode: 'allowed' | 'required';
  /** PEM files: the imager's certificate and key, and the CA of the nodes' certificates. */
  x509?: { cert: string; key: string; ca: string };
  /** File of pre-shared keys. */
  psk?: string;
}

/**
 * Who is taken into the cluster without being asked for by name. `first`: a configured node that has no definition, at its
 * first hello; one that has one only with its key. `always`: a configured node at any time, also one that has lost its key:
 * for labs. `asked`: nobody.
 */
export const ENROLMENTS = ['first', 'always', 'asked'] as const;
export type Enrolment = (typeof ENROLMENTS)[number];

/** A connection that is silent for so many heartbeats has no node at its other end. */
export const MISSED_BEATS = 3;
/** Where the file does not say when a node is lost: time enough to restart on purpose. */
export const LOST_SECONDS = 90;

/** All that the configuration file says but what nodes are to do, for which other files have to be read. */
export interface ImagerSettings {
  /** Absolute path of the file this was read from. */
  file: string;
  /** Absolute path of the state directory. */
  state: string;
  cluster: string;
  network: NetworkConfig;
  ports: PortsConfig;
  dhcp: DhcpSettings;
  boot: {
    /** Image offered over DHCP to iPXE clients that have no pointer of their own. */
    image?: string;
    /** Boot files by name of architecture (architectures.ts): paths for TFTP, or URLs. */
    files: Readonly<Partial<Record<string, string>>>;
    /** For who has no menu of its own. */
    menu?: BootMenu;
  };
  /** Absolute path of the folder with the operator's boot menu templates. */
  templates?: string;
  /** Absolute paths of PEM files. */
  https?: { port: number; cert: string; key: string };
  nbd: { tls?: NbdTlsConfig };
  /** `enrolmentKey`: absolute path. */
  agents: { enrolment: Enrolment; enrolmentKey?: string; heartbeatSeconds: number; lostSeconds: number };
  nodes: NodeConfig[];
}

export interface ImagerConfig extends ImagerSettings {
  userConfigs: Record<string, UserConfig>;
}

/** Where the control socket of the imager with this configuration is. */
export function controlSocketPath({ state }: Pick<ImagerSettings, 'state'>): string {
  return `${state}/control.sock`;
}
