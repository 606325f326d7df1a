/** Paths of TFTP and HTTP clients: their one form, and whose menu they name. */
import { isIpv4 } from '../../../agent/protocol/ipv4.ts';
import { parseUid } from '../../../agent/protocol/uid.ts';
import { endsOf, normalisePath } from '../../../imager/images/tree.ts';
import { MENUS, menuPath } from '../../../imager/menus/path.ts';
import { promise, type Target } from '../target.ts';

const text = (value: string) => new TextEncoder().encode(value);

export function pathTarget(): Target {
  return {
    seeds: [
      'images/debian-12/kernel',
      '//images\\debian-12\\..\\other/./boot.ipxe',
      'boot.ipxe',
      'pxelinux.cfg/01-52-54-00-77-00-11',
      'pxelinux.cfg/0A4D000B',
      'pxelinux.cfg/6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601',
      'pxelinux.cfg/default-arm-bcm283x-rpi',
      'grub/grub.cfg-01-52-54-00-77-00-11',
      'boot/grub.cfg-0A4D',
      '9a2b3c4d/config.txt',
      '9a2b3c4d/kernel_2712.img',
      'dc-a6-32-01-02-03/initramfs8',
      'extlinux/extlinux.conf',
      '../../etc/passwd',
    ].map(text),
    tokens: [
      '../',
      '..\\',
      './',
      '//',
      '%2e',
      '\0',
      '\u202e',
      'pxelinux.cfg/',
      'grub.cfg-',
      '__proto__',
      'constructor',
    ].map(text),
    maxLength: 1500,
    take(bytes) {
      const path = normalisePath(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
      if (path === undefined) return false;
      const parts = path.split('/');
      promise(
        parts.every((part) => part !== '' && part !== '.' && part !== '..'),
        'parts are names',
      );
      promise(path.length <= 512 && !/[\\\p{Cc}]/u.test(path), 'short and plain');
      promise(normalisePath(path) === path, 'the one form has no other');
      promise(
        endsOf(path).every((end) => path.endsWith(end)),
        'ends are of the path',
      );
      const found = menuPath(path);
      if (found === undefined) return true;
      promise(found.kind === 'boot-file' || MENUS.includes(found.menu), 'one of the menus');
      const { whose } = found;
      if (whose.by === 'mac') promise(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(whose.mac), `MAC ${whose.mac}`);
      if (whose.by === 'uid') promise(parseUid(whose.uid) === whose.uid, `UID ${whose.uid}`);
      if (whose.by === 'address') promise(isIpv4(whose.address), `address ${whose.address}`);
      return true;
    },
  };
}
