/** Hardware addresses of adapters (EUI-48) as text: six bytes in hexadecimal with colons between. */

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
/** I/G address bit of the first byte (IEEE Std 802-2014 section 8.2.2): the address is a group's. */
const GROUP = 0x01;

export function isMac(text: string): boolean {
  return MAC.test(text);
}

/** True where `text` is an address that an adapter can have: no group's, and not all zero. */
export function isAdapterMac(text: string): boolean {
  return isMac(text) && (Number.parseInt(text.slice(0, 2), 16) & GROUP) === 0 && /[1-9a-f]/i.test(text);
}
