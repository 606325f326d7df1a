/** The boot file was loaded, and then nothing. */
import { endWords, lastTransfer, nameOf, programWords, type Rule, toldWords, where } from '../finding.ts';

export const nothingFollowed: Rule = (story) => {
  const last = lastTransfer(story);
  if (last?.end !== 'done') return undefined;
  const script = last.content === 'script' || /\.(?:ipxe|cfg|scr|env|conf)$|^pxelinux\.cfg/.test(last.file);
  const efi = /\.efi$/i.test(nameOf(last.file)) || last.content?.startsWith('efi') === true;
  return {
    cause: script
      ? `${last.file} was loaded, and nothing it says to load was asked for${endWords(story, last)}`
      : `the boot file was loaded and nothing followed: ${programWords(story)} rejected ${nameOf(last.file)}, or the program hangs${endWords(story, last)}`,
    evidence: [...toldWords(story), `${last.file}, ${last.bytes} bytes, came whole: ${where(story, last)}`],
    advice: script
      ? ['read the script as the node got it; its console shows where it stops']
      : [
          ...(efi ? ['secure boot takes signed programs alone: switch it off, or load a signed one'] : []),
          'a program for another architecture is rejected without a word: compare option 93 with the file',
          'a program that hangs shows on the console how far it came',
        ],
  };
};
