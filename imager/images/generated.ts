/** The files made from an entry of the boot table rather than kept in it: what firmware reads to boot it. Pure. */
import { createHash } from 'node:crypto';
import type { ServedFile } from '../../agent/protocol/signed-image.ts';
import { runCommand } from './boot-sector.ts';
import { type BootImage, filesOf, type LinuxImage } from './image.ts';
import { nbiLoader } from './nbi/loader.ts';

const GENERATED = ['boot.ipxe', 'manifest.env', 'nbi.0'] as const;

/** Everything that is served of an image, kept or made. */
export function servedFiles(image: BootImage): ServedFile[] {
  const kept = filesOf(image).map(([name, { bytes, sha256 }]) => ({ name, bytes, sha256 }));
  const made = GENERATED.flatMap((name) => {
    const content = generatedFile(image, name);
    if (content === undefined) return [];
    return [{ name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') }];
  });
  return [...kept, ...made];
}

/** The generated file of that name beside an image's own; undefined where there is none for an image of its kind. */
export function generatedFile(image: BootImage, file: string): Uint8Array | undefined {
  switch (file) {
    case 'boot.ipxe':
      return Buffer.from(ipxeScript(image));
    case 'manifest.env':
      return image.kind === 'linux' ? Buffer.from(manifest(image)) : undefined;
    case 'nbi.0':
      return image.kind === 'nbi' ? nbiLoader(image) : undefined;
    default:
      return undefined;
  }
}

/**
 * The manifest U-Boot reads with `env import -t`: one `name=value` a line. `bw_kernel`, `bw_initrd` and, where there
 * is one, `bw_dtb` are names of files beside it; `bw_args` is the kernel command line.
 */
export function manifest(image: LinuxImage): string {
  const files = filesOf(image).map(([file]) => `bw_${file}=${file}`);
  return [...files, `bw_args=${image.args}`, ''].join('\n');
}

/**
 * The iPXE script that boots the image. Its URIs are relative to its own. Whoever chains to it may set `bw_cmdline`,
 * what the node's own pointer adds to the command line, and `bw_imager`, the address of the imager. Where the image
 * cannot be had or is for other firmware the script fails, which sends the loader to its next imager.
 */
export function ipxeScript(image: BootImage): string {
  return ['#!ipxe', ...ipxeLines(image), ''].join('\n');
}

function ipxeLines(image: BootImage): string[] {
  const say = `echo bootwright: firmware boot ${image.name}`;
  switch (image.kind) {
    case 'linux': {
      // `initrd=` names the initrd for kernels started through UEFI.
      const kernel = [
        // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE expands it, to nothing where it is not set
        'kernel --timeout 3000 kernel initrd=initrd ${bw_cmdline}',
        image.args,
      ];
      return [
        kernel.filter((part) => part !== '').join(' '),
        'initrd --timeout 3000 initrd',
        say,
        // SeaBIOS holds the end of a line back until the next one, and the kernel's change of the video mode loses it.
        'echo starting the kernel',
        'boot',
      ];
    }
    case 'efi':
      // Load options take the place of a unified kernel image's own command line: none unless the image has some.
      return [
        ...only('efi', image),
        say,
        `chain --timeout 3000 boot.efi${image.args === '' ? '' : ` \${bw_cmdline} ${image.args}`}`,
      ];
    case 'boot-sector':
      return [...only('pcbios', image), say, runCommand('boot.img', image.files['boot.img'].bytes)];
    case 'nbi':
      return [
        ...only('pcbios', image),
        // biome-ignore-start lint/suspicious/noTemplateCurlyInString: iPXE expands it
        // Etherboot's option for arguments; the image's first stage appends them to its command line.
        'isset ${bw_cmdline} && set 129:string ${bw_cmdline} ||',
        // The loader asks the server that DHCP named. Fetched first: from then on iPXE takes URIs relative to that one.
        'imgfetch --timeout 3000 nbi.0',
        'isset ${bw_imager} && set next-server ${bw_imager} ||',
        'isset ${next-server} || set next-server ${dhcp-server} ||',
        // biome-ignore-end lint/suspicious/noTemplateCurlyInString: iPXE expands it
        say,
        // It comes back only where it failed, and would be in the way of another of the same name.
        'imgexec nbi.0 ||',
        'imgfree nbi.0 ||',
        'exit 1',
      ];
  }
}

/** Lines that fail in words where iPXE runs on the other kind of firmware. */
function only(platform: 'efi' | 'pcbios', image: BootImage): string[] {
  const firmware = { efi: 'UEFI firmware', pcbios: 'a PC BIOS' }[platform];
  return [
    `iseq \${platform} ${platform} || echo bootwright: firmware error image ${image.name} needs ${firmware}`,
    `iseq \${platform} ${platform} || exit 1`,
  ];
}
