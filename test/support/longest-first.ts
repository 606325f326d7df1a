/**
 * The order of test files: those that take long first, so that none of them is left over for one worker while the others have
 * nothing to do; then the others that have a process of their own (alone.ts), and those that share one. Vitest knows how long a file
 * took from its cache, which a new clone does not have, and goes by its size without: a few lines that boot machines come last then.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { projectFile } from '../../firmware-stubs/rig/project.ts';

/**
 * Files that take 20 s or more: the one that has built what most others boot, those that need nothing of that, then the others, the
 * longest first.
 */
export const LONGEST = [
  'test/boot/sequence.test.ts',
  'test/fuzz/flood.test.ts',
  'test/nbd/limits.test.ts',
  'test/service/service.test.ts',
  'test/explain/verbs.test.ts',
  'test/explain/broken.test.ts',
  'test/pointer/torn.test.ts',
  'test/simulated/power-cuts.test.ts',
  'test/fuzz/pointers.test.ts',
  'test/fuzz/stored.test.ts',
  'test/agent/exhaustive.test.ts',
  'test/boot/power-cut.test.ts',
  'test/boot/pack.test.ts',
  'test/boot/uefi-stub.test.ts',
  'test/boot/bios-stub.test.ts',
  'test/firmware/network.test.ts',
  'test/firmware/uboot.test.ts',
  'test/firmware/nbi.test.ts',
  'test/boot/detached.test.ts',
  'test/definitions/whole.test.ts',
  'test/firmware/proxy.test.ts',
  'test/boot/shared-base.test.ts',
  'test/boot/scenarios.test.ts',
  'test/boot/random-cuts.test.ts',
  'test/serial/uboot.test.ts',
  'test/firmware/ipxe.test.ts',
  'test/boot/resources.test.ts',
  'test/boot/restarts.test.ts',
  'test/agent/host/memory.test.ts',
  'test/agent/pointer-verbs.test.ts',
  'test/images/initramfs.test.ts',
  'test/firmware/bios.test.ts',
  'test/nbd/proofs/kernel.test.ts',
  'test/agent/host/watchdog-machine.test.ts',
  'test/firmware/efi.test.ts',
  'test/menus/firmware.test.ts',
  'test/firmware/uefi.test.ts',
  'test/storm/storm.test.ts',
  'test/agent/host/machine.test.ts',
  'test/boot/serial-flash.test.ts',
  'test/images/boot.test.ts',
  'test/boot/small-blocks.test.ts',
  'test/agent/supervise.test.ts',
  'test/boot/tpm.test.ts',
  'test/local/static-agent.test.ts',
  'test/fuzz/network.test.ts',
  'test/agents/imposters.test.ts',
  'test/firmware/at24.test.ts',
  'test/serial/ptys.test.ts',
  'test/images/initramfs-boot.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = new Map(LONGEST.map((name, index) => [projectFile(name), index]));
    const placeOf = ({ moduleId, project }: TestSpecification) =>
      place.get(moduleId) ?? LONGEST.length + (project.config.isolate ? 0 : 1);
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
