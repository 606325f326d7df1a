/** A boot file that this firmware cannot run. */
import { askedWords, nameOf, pathOf, programWords, type Rule, toldWords, where } from '../finding.ts';
import type { Content } from '../observation.ts';
import type { Story } from '../story.ts';

/** What EFI firmware of an architecture runs, by option 93. */
const RUNS: Record<number, Content> = {
  ...{ 6: 'efi-ia32', 15: 'efi-ia32' },
  ...{ 7: 'efi-x64', 9: 'efi-x64', 16: 'efi-x64', 17: 'efi-x64' },
  ...{ 11: 'efi-arm64', 19: 'efi-arm64' },
};
const CONTENT_WORDS: Record<Content, string> = {
  'efi-x64': 'an x86-64 EFI program',
  'efi-ia32': 'a 32-bit x86 EFI program',
  'efi-arm64': 'a 64-bit Arm EFI program',
  'efi-other': 'an EFI program of another architecture',
  script: 'a script',
  'no-efi': 'no EFI program',
};

export const wrongArchitecture: Rule = (story) => {
  const { architecture, program, told } = story;
  if (story.isLoader || architecture === undefined) return undefined;
  if (architecture.kind !== 'efi' && architecture.kind !== 'bios') return undefined;
  // The firmware's own file is the first; what a loader fetches after it is its own affair.
  const loaded = story.transfers.find(({ end }) => end === 'done' || end === 'open');
  const others = story.transfers.filter(({ file, end }) => file !== loaded?.file && end === 'done');
  if (others.length > 0 || story.transfers.some(({ end }) => end === 'refused')) return undefined;
  if (loaded === undefined && (story.transfers.length > 0 || !story.hasAddress)) return undefined;
  const { file } = told;
  // What it was not told to load, a program from elsewhere may have asked for.
  if (file === undefined || (loaded !== undefined && pathOf(loaded.file) !== pathOf(file))) return undefined;
  const is = loaded?.content === undefined ? mismatchByName(story, file) : mismatch(story, loaded.content);
  if (is === undefined) return undefined;
  const needs =
    architecture.kind === 'efi'
      ? `needs an .efi file for ${architecture.words}`
      : 'needs a BIOS boot program';
  const came =
    loaded === undefined
      ? [
          `it never asked for the file: nothing came after ${story.told.by ? where(story, story.told.by) : 'that'}`,
        ]
      : [`it loaded ${loaded.bytes} bytes of it and did nothing with them: ${where(story, loaded)}`];
  return {
    cause: `wrong boot file for this firmware: ${programWords(story)} was told to load ${nameOf(file)}, which is ${is}; it ${needs}`,
    evidence: [...askedWords(story), ...toldWords(story), ...came],
    advice: [
      architecture.kind === 'efi'
        ? `tell clients that send arch ${program.arch} (option 93) an EFI loader${RUNS[program.arch ?? -1] === 'efi-x64' ? ', such as ipxe/snponly.efi' : ` that is built for ${architecture.words}`}: boot.files.${architecture.name} in the imager's configuration`
        : `tell clients that send arch ${program.arch} (option 93) a BIOS loader, such as ipxe/undionly.kpxe: boot.files.${architecture.name} in the imager's configuration`,
    ],
  };
};

function mismatch({ architecture, program }: Story, content: Content): string | undefined {
  const wanted = RUNS[program.arch ?? -1];
  if (architecture?.kind === 'bios') return content.startsWith('efi') ? CONTENT_WORDS[content] : undefined;
  return wanted === undefined || content === wanted ? undefined : CONTENT_WORDS[content];
}

/** Names are a hint: .efi is EFI's, and these are not. */
function mismatchByName({ architecture }: Story, file: string): string | undefined {
  const name = nameOf(file).toLowerCase();
  if (architecture?.kind === 'bios') return name.endsWith('.efi') ? 'an EFI program by its name' : undefined;
  if (/\.(?:k?k?pxe|0|lkrn|ipxe|cfg|bin)$/.test(name)) return 'no EFI program by its name';
  if (/(?:ia32|i386)\.efi$/.test(name) && architecture?.name.endsWith('x64') === true)
    return CONTENT_WORDS['efi-ia32'];
  if (/(?:x64|x86_64|amd64)\.efi$/.test(name) && architecture?.name.endsWith('arm64') === true)
    return CONTENT_WORDS['efi-x64'];
  if (/(?:aa64|arm64)\.efi$/.test(name) && architecture?.name.endsWith('x64') === true)
    return CONTENT_WORDS['efi-arm64'];
  return undefined;
}
