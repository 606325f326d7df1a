/**
 * Pointer store `rpi-eeprom`: an image of the Raspberry Pi bootloader, a file. It gets into the chip as always: as
 * `pieeprom.upd` on the boot partition beside its `.sig`, or by flashrom.
 */
import { rpiEeprom } from '../protocol/pointer/rpi-eeprom.ts';
import { IMAGE_SIZES } from '../protocol/pointer/rpi-image.ts';
import { PointerStore } from '../protocol/pointer/store.ts';
import type { Host } from './host.ts';

/** Throws where there is no such file, and where it has not an image's size. */
export function openRpiEeprom(host: Host, path: string): PointerStore {
  const { length } = host.readFile(path);
  if (!IMAGE_SIZES.includes(length))
    throw new Error(`${path} has ${length} bytes, a bootloader image ${IMAGE_SIZES.join(' or ')}`);
  return new PointerStore(rpiEeprom(length), {
    read: (offset, bytes) => host.readStored(path, offset, bytes),
    write(offset, bytes) {
      const image = new Uint8Array(host.readFile(path));
      image.set(bytes, offset);
      host.replaceFile(path, image);
    },
  });
}

/**
 * The file of the image's digest that a bootloader asks for beside it (`pieeprom.sig` of `pieeprom.upd`), if there is one:
 * it is wrong as soon as the image is changed. Made anew by `rpi-eeprom-digest`.
 */
export function rpiDigestFile(host: Host, path: string): string | undefined {
  const digest = `${path.replace(/\.(bin|upd)$/, '')}.sig`;
  return host.exists(digest) ? digest : undefined;
}
