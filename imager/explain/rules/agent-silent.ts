/** Kernel and initrd, or the tagged image they are in, were loaded, and the agent inside never spoke. */
import { endWords, type Finding, lastTransfer, nameOf, type Rule, where } from '../finding.ts';
import type { Transfer } from '../observation.ts';
import type { Story } from '../story.ts';

const KERNEL = /^(?:vmlinuz|bzImage|Image|kernel|linux)/i;
const INITRD = /^(?:initrd|initramfs)/i;
/** What the boot table calls a tagged image (0x1B031336). */
const TAGGED = 'boot.nbi';

export const agentSilent: Rule = (story) => {
  const { transfers } = story;
  const last = lastTransfer(story);
  if (last?.end !== 'done') return undefined;
  const kernel = transfers.findLast(({ file, end }) => end === 'done' && KERNEL.test(nameOf(file)));
  const initrd = transfers.findLast(({ file, end }) => end === 'done' && INITRD.test(nameOf(file)));
  if (kernel === undefined) return nameOf(last.file) === TAGGED ? taggedSilent(story, last) : undefined;
  return {
    cause: `the kernel was loaded and the agent never spoke: ${kernel.file}${initrd === undefined ? ' without an initrd' : ` and ${initrd.file}`} came whole, then nothing${endWords(story, last)}`,
    evidence: [kernel, ...(initrd === undefined ? [] : [initrd])].map((each) => loadedWords(story, each)),
    advice: [
      'see the console: a kernel for another architecture or without a console on it stays silent; a panic tells its reason',
      'no network driver in the initrd, or no address on the command line (ip=), keeps the agent from the imager',
    ],
  };
};

function taggedSilent(story: Story, image: Transfer): Finding {
  return {
    cause: `the tagged image was loaded and no agent spoke: ${image.file} came whole, then nothing${endWords(story, image)}`,
    evidence: [loadedWords(story, image)],
    advice: [
      'see the console: it shows whether the image was started and how far it came; without a console in its arguments it stays silent',
      'an image without the agent never speaks; one with it needs a network driver and an address (ip= among its arguments)',
    ],
  };
}

function loadedWords(story: Story, file: Transfer): string {
  return `${file.file}, ${file.bytes} bytes: ${where(story, file)}`;
}
