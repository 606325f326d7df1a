/** Memory: what there is altogether, and each module where firmware tells of them. */
import type { Host } from '../host.ts';
import { attribute, type Found, type ResourceController } from './controller.ts';
import { type SmbiosStructure, smbiosStructures } from './smbios.ts';

const BLOCKS = '/sys/devices/system/memory';
const TABLES = '/sys/firmware/dmi/tables/DMI';
/** SMBIOS type 17 (DSP0134, 7.18), "Memory Device": one for each socket. */
const MEMORY_DEVICE = 17;
const KIB = 1024;
const MIB = 1024 * KIB;
/** What a kernel takes for itself before it counts is a different amount at each boot: MemTotal is rounded to these. */
const ROUNDED = 64 * MIB;

export const memory: ResourceController = {
  kind: 'memory',
  discover(host, found) {
    found({ key: 'total', fields: { bytes: totalBytes(host) } });
    if (!host.exists(TABLES)) return;
    for (const structure of smbiosStructures(host.readFile(TABLES)))
      if (structure.type === MEMORY_DEVICE) {
        const module = moduleOf(structure);
        if (module !== undefined) found(module);
      }
  },
};

/** The blocks that memory is added and taken away by (Documentation/ABI/testing/sysfs-devices-memory), else what is free to use. */
function totalBytes(host: Host): number | undefined {
  const size = attribute(host, `${BLOCKS}/block_size_bytes`);
  if (size !== undefined && /^[0-9a-f]+$/.test(size)) {
    const blocks = host.list(BLOCKS).filter((name) => /^memory\d+$/.test(name)).length;
    return blocks * Number.parseInt(size, 16);
  }
  const kilobytes = /^MemTotal:\s+(\d+) kB$/m.exec(attribute(host, '/proc/meminfo') ?? '')?.[1];
  return kilobytes === undefined ? undefined : Math.round((Number(kilobytes) * KIB) / ROUNDED) * ROUNDED;
}

/** Undefined for an empty socket. */
function moduleOf(structure: SmbiosStructure): Found | undefined {
  const bytes = moduleBytes(structure);
  if (bytes === 0) return undefined;
  const places = [structure.text(0x11), structure.text(0x10)].filter((text) => text !== undefined);
  return {
    key: places.join('/') || 'module',
    fields: {
      bytes,
      manufacturer: structure.text(0x17),
      part: structure.text(0x1a),
      serial: structure.text(0x18),
      megatransfers: structure.word(0x15) || undefined,
    },
  };
}

/** 7.18.5 and 7.18.6; undefined where firmware does not know. */
function moduleBytes(structure: SmbiosStructure): number | undefined {
  const size = structure.word(0x0c);
  if (size === undefined || size === 0xffff) return undefined;
  if (size === 0x7fff) return ((structure.doubleWord(0x1c) ?? 0) & 0x7fffffff) * MIB;
  return size & 0x8000 ? (size & 0x7fff) * KIB : size * MIB;
}
