/** What boot pointer stores hold. */
import { fuzz } from './million.ts';

fuzz(['uboot-env', 'ipxe-script', 'binary-slot', 'fw-env', 'fw-env-config', 'efi-variable']);
// Up to four definitions in each.
fuzz(['local-slot'], 10);
// Images of half a megabyte with about ten sections bent in each.
fuzz(['rpi-image'], 10);
