/** The boot disk of the BIOS stub, byte for byte. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { bootDisk } from '../../firmware-stubs/bios/boot-disk.ts';
import { projectFile } from '../../firmware-stubs/rig/project.ts';
import { IPXE } from '../../firmware-stubs/rig/qemu.ts';

const stub = await readFile(projectFile('dist/firmware-stubs/bios/stub.bin'));
const ipxe = await readFile(IPXE);

test('first sector, stub and iPXE lie where the first sector says', () => {
  const disk = Buffer.from(bootDisk(stub, ipxe, { listenMilliseconds: 2500 }));
  expect(disk.length).toBe(2 << 20);
  expect(disk.toString('latin1', 0x1a0, 0x1a4)).toBe('BWB1');
  const sectors = disk.readUInt16LE(0x1a4);
  expect(sectors).toBe(Math.ceil(stub.length / 512) - 1);
  expect(disk.readUInt16LE(0x1a6)).toBe(2500);
  expect(disk.readUInt32LE(0x1a8)).toBe(sectors + 1);
  expect(disk.readUInt32LE(0x1ac)).toBe(ipxe.length);
  expect(disk.subarray(512, stub.length).equals(stub.subarray(512))).toBe(true);
  const at = (sectors + 1) * 512;
  expect(disk.subarray(at, at + ipxe.length).equals(ipxe)).toBe(true);
  // Active, type 0xda, from sector 1 to the end.
  expect([disk[0x1be], disk[0x1c2], disk.readUInt32LE(0x1c6), disk.readUInt32LE(0x1ca)]).toEqual([
    ...[0x80, 0xda, 1, 4095],
  ]);
  expect(disk.readUInt16LE(0x1fe)).toBe(0xaa55);
  // The mark by which the first sector knows a stub that is in memory.
  expect(disk.toString('latin1', 512 + 4, 512 + 8)).toBe('BWBS');
});

test('what is no stub, no iPXE or no time is refused, and so is what does not fit', () => {
  expect(() => bootDisk(new Uint8Array(1024), ipxe)).toThrow('BWB1');
  expect(() => bootDisk(stub, new Uint8Array(1024))).toThrow('ipxe.lkrn');
  expect(() => bootDisk(stub, ipxe, { listenMilliseconds: 65_536 })).toThrow('65536 milliseconds');
  const large = Buffer.concat([ipxe, Buffer.alloc((16 << 20) + 1 - ipxe.length)]);
  expect(() => bootDisk(stub, large)).toThrow('at most 16777216 fit');
  expect(() => bootDisk(Buffer.concat([stub, Buffer.alloc(60_000)]), ipxe)).toThrow('at most 100 fit');
});
