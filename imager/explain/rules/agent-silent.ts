/** Kernel and initrd were loaded, and the agent inside never spoke. */
import { endWords, lastTransfer, nameOf, type Rule, where } from '../finding.ts';

const KERNEL = /^(?:vmlinuz|bzImage|Image|kernel|linux)/i;
const INITRD = /^(?:initrd|initramfs)/i;

export const agentSilent: Rule = (story) => {
  const { transfers } = story;
  const last = lastTransfer(story);
  if (last?.end !== 'done') return undefined;
  const kernel = transfers.findLast(({ file, end }) => end === 'done' && KERNEL.test(nameOf(file)));
  const initrd = transfers.findLast(({ file, end }) => end === 'done' && INITRD.test(nameOf(file)));
  if (kernel === undefined) return undefined;
  return {
    cause: `the kernel was loaded and the agent never spoke: ${kernel.file}${initrd === undefined ? ' without an initrd' : ` and ${initrd.file}`} came whole, then nothing${endWords(story, last)}`,
    evidence: [kernel, ...(initrd === undefined ? [] : [initrd])].map(
      (each) => `${each.file}, ${each.bytes} bytes: ${where(story, each)}`,
    ),
    advice: [
      'see the console: a kernel for another architecture or without a console on it stays silent; a panic tells its reason',
      'no network driver in the initrd, or no address on the command line (ip=), keeps the agent from the imager',
    ],
  };
};
