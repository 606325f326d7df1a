/** What agents send, and what EEPROMs and files hold. */
import { fuzz } from './million.ts';

fuzz(['frame', 'serial', 'uboot-env', 'ipxe-script', 'nbi', 'capture', 'overlay']);
