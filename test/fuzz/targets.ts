/** Everything that is fuzzed, by name. */
import type { Target } from './target.ts';
import { captureTarget } from './targets/capture.ts';
import { dhcpTarget } from './targets/dhcp.ts';
import { frameTarget } from './targets/frames.ts';
import { rangeTarget } from './targets/http.ts';
import { localSlotTarget } from './targets/local-slot.ts';
import { nbdTarget } from './targets/nbd.ts';
import { nbdTalkTarget } from './targets/nbd-talk.ts';
import { nbiTarget } from './targets/nbi.ts';
import { overlayTarget } from './targets/overlay.ts';
import { pathTarget } from './targets/paths.ts';
import { binarySlotTarget, fwEnvTarget, ipxeScriptTarget, ubootEnvTarget } from './targets/pointer.ts';
import { efiVariableTarget, fwEnvConfigTarget, rpiImageTarget } from './targets/pointer-stores.ts';
import { registryLogTarget } from './targets/registry-log.ts';
import { serialTarget } from './targets/serial.ts';
import { tftpTarget } from './targets/tftp.ts';

export const TARGETS: Record<string, () => Target> = {
  dhcp: dhcpTarget,
  tftp: tftpTarget,
  'http-range': rangeTarget,
  path: pathTarget,
  'uboot-env': ubootEnvTarget,
  'ipxe-script': ipxeScriptTarget,
  'binary-slot': binarySlotTarget,
  'fw-env': fwEnvTarget,
  'fw-env-config': fwEnvConfigTarget,
  'efi-variable': efiVariableTarget,
  'rpi-image': rpiImageTarget,
  'local-slot': localSlotTarget,
  frame: frameTarget,
  serial: serialTarget,
  nbd: nbdTarget,
  'nbd-talk': nbdTalkTarget,
  nbi: nbiTarget,
  capture: captureTarget,
  overlay: overlayTarget,
  'registry-log': registryLogTarget,
};
