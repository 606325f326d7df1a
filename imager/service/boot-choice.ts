/** Which boot file a DHCP client is offered. Pure. */

export interface BootClientFacts {
  /** True where the configuration has the client. */
  isNode: boolean;
  /** Option 93 (RFC 4578 section 2.1). */
  arch?: number;
  /** Option 77. */
  userClass?: string;
  /** Option 60. */
  vendorClass?: string;
}

export interface BootOffer {
  /** Boot files that exist, of those under ipxe/. */
  ipxe: ReadonlySet<string>;
  /** Where this imager's HTTP is, e.g. http://10.77.0.1 */
  httpBase: string;
  /** Image for iPXE clients. */
  image?: string;
}

/** Candidates by client architecture (RFC 4578 section 2.1 and IANA's "Processor Architecture Types"). */
const IPXE_FOR: Record<number, readonly string[]> = {
  0: ['ipxe/undionly.kpxe'],
  7: ['ipxe/snponly.efi', 'ipxe/ipxe.efi'],
  9: ['ipxe/snponly.efi', 'ipxe/ipxe.efi'],
};

/**
 * PXE ROMs get iPXE, iPXE gets the script of the configured image where the client is a node, everybody else nothing:
 * U-Boot and the agent obey the boot pointer. iPXE calls itself PXEClient too, so its user class is looked at first.
 */
export function bootFileFor(client: BootClientFacts, offer: BootOffer): string | undefined {
  if (client.userClass === 'iPXE')
    return offer.image === undefined || !client.isNode
      ? undefined
      : `${offer.httpBase}/images/${offer.image}/boot.ipxe`;
  if (!client.vendorClass?.startsWith('PXEClient')) return undefined;
  return IPXE_FOR[client.arch ?? 0]?.find((file) => offer.ipxe.has(file));
}

/** `http://ADDRESS`, with the port where it is not HTTP's own. */
export function httpBase(address: string, port: number): string {
  return port === 80 ? `http://${address}` : `http://${address}:${port}`;
}
