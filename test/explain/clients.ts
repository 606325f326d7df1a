/** A client, and what firmware says of itself when it asks by DHCP. */

export const MAC = '52:54:00:00:00:01';
export const BIOS = { arch: 0, vendorClass: 'PXEClient:Arch:00000:UNDI:002001' };
export const UEFI = { arch: 7, vendorClass: 'PXEClient:Arch:00007:UNDI:003000' };
export const HTTP = { arch: 16, vendorClass: 'HTTPClient:Arch:00016:UNDI:003000' };
export const IPXE = { ...BIOS, userClass: 'iPXE' };
