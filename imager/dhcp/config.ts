/** What the DHCP server is told: its networks, who has which address, who boots what. */

/** A network whose clients are served. Addresses are dotted quads. */
export interface SubnetSettings {
  /** Mask length of the network. */
  prefix: number;
  router?: string;
  dns?: readonly string[];
  /** Option 15. */
  domain?: string;
  /** Addresses for clients without a reservation, both ends included. Without them they are not answered. */
  pools?: readonly { from: string; to: string }[];
  /** Longest lease given, seconds. */
  leaseSeconds: number;
  /** Where boot files are loaded from (siaddr), if not from this server. */
  nextServer?: string;
}

/** A network behind a relay agent. */
export interface RelayedSubnet extends SubnetSettings {
  /** Any address of it. */
  network: string;
  /** Circuit ids (option 82, sub-option 1; lower-case hexadecimal) whose clients belong here. */
  circuits?: readonly string[];
}

/** The settings of the server's own network, and what counts in all of them. */
export interface DhcpConfig extends SubnetSettings {
  /** Address of the interface served, also the server identifier. */
  serverAddress: string;
  subnets?: readonly RelayedSubnet[];
  /** Sent to everybody they are for, asked for or not: boot loaders read options they never ask for. */
  options?: readonly CustomOption[];
  /** Ask whether somebody uses a pool address before offering it to who is no boot firmware. */
  probe?: boolean;
  /** What a client boots, or why boot firmware gets an address only; undefined: who is none and need not. */
  bootFile(client: BootClient): BootFileChoice | NoBootFile | undefined;
  /** The menu a client is shown; undefined: none. Left out where nobody is shown one. */
  menu?(client: BootClient): PxeMenu | undefined;
}

/** A boot menu that PXE firmware shows (PXE specification 2.1, section 2.2). Texts are printable ASCII. */
export interface PxeMenu {
  prompt: string;
  /** How long the prompt waits for a key before it takes the first item: 0 not at all, 255 the menu is shown at once. */
  seconds: number;
  items: readonly PxeMenuItem[];
}

export interface PxeMenuItem {
  name: string;
  /** A file, what the client would boot without the menu, or its own disk. */
  boot: BootFileChoice | 'normal' | 'local';
}

/** An option of the operator's. It takes the place of what the server would have sent under its code. */
export interface CustomOption {
  code: number;
  value: Uint8Array;
  /** All that is named has to fit. */
  for?: {
    node?: string;
    /** How the vendor class (option 60) begins, or a user class (option 77). */
    class?: string;
    /** Option 93. */
    architecture?: number;
  };
}

export interface BootClient {
  mac: string;
  /** From option 97. */
  uid?: string;
  /** Option 93. */
  arch?: number;
  /** Option 77, e.g. 'iPXE'. */
  userClass?: string;
  /** Option 60, e.g. 'PXEClient:Arch:00007:UNDI:003016'. */
  vendorClass?: string;
  /** Name of the node it is. */
  node?: string;
}

export interface BootFileChoice {
  /** Path for TFTP, or an absolute URL. Clients of class HTTPClient get nothing but absolute URLs. */
  file: string;
}

export interface NoBootFile {
  /** A sentence for whoever asks why the client did not boot. */
  why: string;
}

/** What the configuration says of a node. */
export interface Reservation {
  node: string;
  /** MAC of the adapter, where that is a client of its own beside the one the node boots over. */
  adapter?: string;
  /** Its own address; without one it has its address from a pool. */
  address?: string;
  hostname?: string;
}

/** Who is which node. Asked for each message; MACs are lower case with colons, octets lower-case hexadecimal. */
export interface Reservations {
  byMac(mac: string): Reservation | undefined;
  byUid(uid: string): Reservation | undefined;
  /** By option 61. */
  byClientId(clientId: string): Reservation | undefined;
  /** By sub-option 1 of option 82. */
  byCircuit(circuit: string): Reservation | undefined;
  /** The node that has `address` for its own. */
  byAddress(address: string): Reservation | undefined;
  /** The node of that name, for a client with `mac`: nobody where the configuration says what that MAC is. */
  byNode(node: string, mac: string): Reservation | undefined;
}
