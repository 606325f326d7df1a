/** The sources of hardware UIDs there are, in the order they are asked in unless the kernel's command line says another. */
import { kernelArgument } from '../cmdline.ts';
import { permanentAddress } from './mac.ts';
import type { UidSource } from './source.ts';
import {
  deviceTreeSerial,
  smbiosBoardSerial,
  smbiosChassisSerial,
  smbiosProductSerial,
  smbiosUuid,
  uidFile,
} from './texts.ts';
import { tpmEndorsementKey } from './tpm.ts';

/**
 * What an administrator settled; what stays with the board, the UUID that firmware tells DHCP first; a TPM, which may be a
 * module or be cleared; and an adapter, which is changed most.
 */
export const UID_SOURCES: readonly UidSource[] = [
  uidFile,
  smbiosUuid,
  smbiosProductSerial,
  smbiosBoardSerial,
  smbiosChassisSerial,
  deviceTreeSerial,
  tpmEndorsementKey,
  permanentAddress,
];

/** Kernel argument that says which sources are asked, and in which order: `bootwright.uid=SOURCE[,SOURCE]`. */
const ARGUMENT = 'bootwright.uid';

/**
 * The sources to ask, by the kernel's command line. Throws where it names one that is not there: a node that was told to be
 * known by one thing must not join as another.
 */
export function uidOrder(commandLine: string, sources: readonly UidSource[] = UID_SOURCES): UidSource[] {
  const order = kernelArgument(commandLine, ARGUMENT);
  if (order === undefined) return [...sources];
  return order.split(',').map((name) => {
    const source = sources.find((each) => each.name === name);
    if (source === undefined)
      throw new Error(
        `${ARGUMENT}=${order}: there is no source "${name}", but ${sources.map((each) => each.name).join(', ')}`,
      );
    return source;
  });
}
