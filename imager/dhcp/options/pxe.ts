/** What network boot firmware needs to see in a reply before it boots from it. */
import type { ClientOptions } from './client.ts';
import { OPTION } from './codes.ts';
import type { Options } from './field.ts';
import { textToBytes } from './values.ts';

/**
 * Option 43 with PXE_DISCOVERY_CONTROL (tag 6) alone, its bit 3 set, and the end: load the boot file of this reply, no
 * menu, no discovery of boot servers (PXE specification 2.1, section 2.2).
 */
const PXE_NO_DISCOVERY = Uint8Array.of(6, 1, 8, 255);

/**
 * Option 175 for iPXE: encapsulated option 176 (no-pxedhcp) set. Without it iPXE waits three seconds for the offer of a
 * proxy (ProxyDHCP), even where its own script says what to boot.
 */
export const IPXE_NO_PROXY = Uint8Array.of(176, 1, 1);

/**
 * The options that make PXE ROMs and UEFI HTTP boot take the boot file of this reply, in wire order. Option 60 names the
 * client's own class back to it: without that, PXE ROMs wait for a proxy and UEFI HTTP boot ignores the offer. `menu`:
 * option 43 of who is shown one.
 */
export function pxeOptions(
  request: Options,
  client: ClientOptions,
  menu: Uint8Array | undefined,
): [code: number, value: Uint8Array][] {
  const options: [number, Uint8Array][] = [];
  if (client.vendorClass?.startsWith('PXEClient')) {
    options.push([OPTION.vendorClass, textToBytes('PXEClient')]);
    options.push([OPTION.vendorSpecific, menu ?? PXE_NO_DISCOVERY]);
  } else if (client.vendorClass?.startsWith('HTTPClient')) {
    options.push([OPTION.vendorClass, textToBytes('HTTPClient')]);
  }
  // RFC 4578 section 2.3 and the PXE specification: the server returns the client's machine identifier.
  const machine = request.get(OPTION.clientMachineIdentifier);
  if (machine !== undefined) options.push([OPTION.clientMachineIdentifier, machine]);
  return options;
}
