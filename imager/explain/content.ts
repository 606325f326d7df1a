/** What a boot file is, by its first bytes. */
import type { Content } from './observation.ts';

/** Machine types of the PE header (Microsoft PE format, "Machine Types"). */
const MACHINES: Record<number, Content> = { 34404: 'efi-x64', 332: 'efi-ia32', 43620: 'efi-arm64' };

/** Undefined where there are too few bytes to say. */
export function contentOf(bytes: Uint8Array): Content | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (/^#!|^# |^default /i.test(String.fromCharCode(...bytes.subarray(0, 8)))) return 'script';
  if (view.getUint16(0) !== 0x4d5a) return 'no-efi';
  if (bytes.length < 64) return undefined;
  const header = view.getUint32(60, true);
  if (header + 6 > bytes.length) return undefined;
  if (view.getUint32(header) !== 0x50450000) return 'no-efi';
  return MACHINES[view.getUint16(header + 4, true)] ?? 'efi-other';
}
