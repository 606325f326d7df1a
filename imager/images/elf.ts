/**
 * As much of 64-bit little-endian ELF files (System V ABI, "Object Files") as building images needs: what a kernel
 * module says of itself, and which libraries a program wants. Pure; throws ElfError where a file is not what it seems.
 */
import type { Architecture } from './image.ts';

export class ElfError extends Error {}

interface Section {
  name: string;
  type: number;
  offset: number;
  size: number;
  /** Section header index of the string table this section refers to. */
  link: number;
}

/** e_machine of those architectures that are known here (ELF supplements). */
const MACHINES: Record<number, Architecture> = { 62: 'amd64', 183: 'arm64' };
const PT_INTERP = 3;
const SHT_NOBITS = 8;
const SHT_DYNAMIC = 6;
const DT_NULL = 0;
const DT_NEEDED = 1;

/** True where `bytes` start as a 64-bit little-endian ELF file does. */
export function isElf64(bytes: Uint8Array): boolean {
  const start = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
  return start.every((byte, index) => bytes[index] === byte);
}

/** What an ELF file is for; undefined where it is for neither architecture. Throws ElfError. */
export function elfArchitecture(bytes: Uint8Array): Architecture | undefined {
  if (!isElf64(bytes) || bytes.length < 64) throw new ElfError('not a 64-bit little-endian ELF file');
  return MACHINES[bytes[18]! | (bytes[19]! << 8)];
}

/** Whether a program is started by a program loader of its system (PT_INTERP), as one that is not static is. Throws ElfError. */
export function hasInterpreter(bytes: Uint8Array): boolean {
  if (!isElf64(bytes) || bytes.length < 64) throw new ElfError('not a 64-bit little-endian ELF file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = Number(view.getBigUint64(0x20, true));
  const size = view.getUint16(0x36, true);
  const count = view.getUint16(0x38, true);
  if (count === 0) return false;
  if (size < 56 || start + count * size > bytes.length) throw new ElfError('program headers past the end');
  return Array.from({ length: count }, (_, index) => view.getUint32(start + index * size, true)).includes(
    PT_INTERP,
  );
}

/** The `name=value` strings of a kernel module's .modinfo section; a name can come more than once. */
export function moduleInfo(bytes: Uint8Array): [name: string, value: string][] {
  const section = sections(bytes).find((candidate) => candidate.name === '.modinfo');
  if (section === undefined) throw new ElfError('no .modinfo section: not a kernel module');
  return Buffer.from(contents(bytes, section))
    .toString('latin1')
    .split('\0')
    .filter((text) => text.includes('='))
    .map((text) => {
      const at = text.indexOf('=');
      return [text.slice(0, at), text.slice(at + 1)];
    });
}

/** Names of the shared libraries a program or library wants (DT_NEEDED), in order; none where it is static. */
export function neededLibraries(bytes: Uint8Array): string[] {
  const all = sections(bytes);
  const dynamic = all.find((candidate) => candidate.type === SHT_DYNAMIC);
  if (dynamic === undefined || dynamic.size === 0) return [];
  const strings = all[dynamic.link];
  if (strings === undefined) throw new ElfError('dynamic section without strings');
  const names = contents(bytes, strings);
  const entries = contents(bytes, dynamic);
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  const needed: string[] = [];
  for (let at = 0; at + 16 <= entries.length; at += 16) {
    const tag = Number(view.getBigUint64(at, true));
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) needed.push(textAt(names, Number(view.getBigUint64(at + 8, true))));
  }
  return needed;
}

function sections(bytes: Uint8Array): Section[] {
  if (!isElf64(bytes) || bytes.length < 64) throw new ElfError('not a 64-bit little-endian ELF file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = Number(view.getBigUint64(0x28, true));
  const size = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  const namesIndex = view.getUint16(0x3e, true);
  if (count === 0) return [];
  if (size < 64 || start + count * size > bytes.length) throw new ElfError('section headers past the end');
  const headers = Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      nameAt: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
      link: view.getUint32(at + 40, true),
      name: '',
    };
  });
  const names = headers[namesIndex];
  if (names === undefined) throw new ElfError('no section names');
  const strings = contents(bytes, names);
  return headers.map((header) => ({ ...header, name: textAt(strings, header.nameAt) }));
}

function contents(bytes: Uint8Array, section: Section): Uint8Array {
  if (section.type === SHT_NOBITS) return new Uint8Array();
  if (section.offset + section.size > bytes.length)
    throw new ElfError(`section ${section.name} past the end`);
  return bytes.subarray(section.offset, section.offset + section.size);
}

function textAt(strings: Uint8Array, at: number): string {
  const end = strings.indexOf(0, at);
  if (at >= strings.length || end < 0) throw new ElfError('string past the end of its table');
  return Buffer.from(strings.subarray(at, end)).toString('latin1');
}
