import { expect, test } from 'vitest';
import { type Machine, type NetworkFirmware, qemuCommand } from '../../firmware-stubs/rig/qemu.ts';

const ARM: Machine = {
  rig: 'arm64',
  mac: '52:54:00:00:00:01',
  uid: '0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001',
  memoryMiB: 512,
  tap: 'tap0',
  eeprom: '/lab/a,b.eeprom',
  flash: '/lab/n1.flash',
};
const X86: Machine = { ...ARM, rig: 'x86' };

test('arm64: U-Boot, its environment in the second flash bank, the EEPROM as the only disk', () => {
  expect(qemuCommand(ARM).join(' ')).toBe(
    'qemu-system-aarch64 -machine virt,accel=tcg -cpu cortex-a57 -nodefaults -no-user-config -display none ' +
      '-monitor none -serial stdio -no-reboot -chardev socket,id=qmp,fd=3 -mon chardev=qmp,mode=control -smp 1 -m 512M -drive if=none,id=eeprom,format=raw,file=/lab/a,,b.eeprom ' +
      '-netdev tap,id=lan,ifname=tap0,script=no,downscript=no -bios /usr/lib/u-boot/qemu_arm64/u-boot.bin ' +
      '-drive if=pflash,unit=1,format=raw,file=/lab/n1.flash -device virtio-blk-device,drive=eeprom,serial=eeprom ' +
      '-device virtio-net-device,netdev=lan,mac=52:54:00:00:00:01',
  );
});

test('x86: SeaBIOS starts iPXE, whose script is the EEPROM, and tells the UID', () => {
  expect(qemuCommand(X86).join(' ')).toBe(
    'qemu-system-x86_64 -machine pc,accel=tcg,graphics=off,smm=off,vmport=off,hpet=off -cpu Nehalem,+rdrand ' +
      '-nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -chardev socket,id=qmp,fd=3 -mon chardev=qmp,mode=control -smp 1 -m 512M ' +
      '-drive if=none,id=eeprom,format=raw,file=/lab/a,,b.eeprom ' +
      '-netdev tap,id=lan,ifname=tap0,script=no,downscript=no ' +
      '-smbios type=1,uuid=0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001 ' +
      '-device virtio-blk-pci,drive=eeprom,serial=eeprom ' +
      '-kernel /usr/lib/ipxe/ipxe.lkrn -initrd /lab/a,b.eeprom ' +
      '-device virtio-net-pci,netdev=lan,mac=52:54:00:00:00:01,romfile=',
  );
});

test('x86 with the BIOS stub: its boot disk comes behind the EEPROM, and is only read', () => {
  const command = qemuCommand({ ...X86, firmware: 'bios-stub', boot: '/lab/n1.boot' }).join(' ');
  expect(command).toContain(
    '-device virtio-blk-pci,drive=eeprom,serial=eeprom ' +
      '-drive if=none,id=boot,format=raw,readonly=on,file=/lab/n1.boot ' +
      '-device virtio-blk-pci,drive=boot,bootindex=0 ',
  );
  expect(command).not.toContain('-kernel');
  expect(() => qemuCommand({ ...X86, firmware: 'bios-stub' })).toThrow('needs a boot disk');
});

test('a UID that is a serial number goes where serial numbers go', () => {
  expect(qemuCommand({ ...X86, uid: 'serial:ab-12' })).toContain('type=1,serial=ab-12');
});

test('an arm64 machine without flash is a mistake of the caller', () => {
  const { flash: _, ...rest } = ARM;
  expect(() => qemuCommand(rest)).toThrow('needs a flash file');
});

test('network firmware: what starts, and whose driver has the adapter', () => {
  const { eeprom: _, ...bare } = X86;
  const command = (firmware: NetworkFirmware) => qemuCommand({ ...bare, firmware }).join(' ');
  expect(command('uefi-pxe')).toBe(
    'qemu-system-x86_64 -machine q35,accel=tcg,smm=off,vmport=off,hpet=off ' +
      '-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd ' +
      '-drive if=pflash,unit=1,format=raw,file=/lab/n1.flash -cpu Nehalem,+rdrand ' +
      '-nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -chardev socket,id=qmp,fd=3 -mon chardev=qmp,mode=control -smp 1 -m 512M ' +
      '-netdev tap,id=lan,ifname=tap0,script=no,downscript=no ' +
      '-smbios type=1,uuid=0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001 ' +
      '-device virtio-net-pci,disable-legacy=on,netdev=lan,mac=52:54:00:00:00:01,bootindex=0,romfile=',
  );
  expect(command('uefi-http')).toContain('IPv4PXESupport,string=n');
  expect(command('ipxe-uefi')).not.toContain('romfile=');
  expect(command('ipxe-bios')).not.toMatch(/romfile=|pflash/);
  expect(command('uboot-x86')).toContain('-bios /usr/lib/u-boot/qemu-x86/u-boot.rom');
  expect(qemuCommand({ ...X86, firmware: 'ipxe-bios' })).toContain(
    'virtio-blk-pci,drive=eeprom,serial=eeprom',
  );
});

test('what a machine cannot do without is a mistake of the caller', () => {
  const { flash: _, eeprom: __, ...rest } = X86;
  expect(() => qemuCommand(rest)).toThrow('needs an EEPROM');
  expect(() => qemuCommand({ ...rest, firmware: 'uefi-pxe' })).toThrow('needs a flash file');
  expect(() => qemuCommand({ ...rest, rig: 'arm64', firmware: 'uefi-pxe' })).toThrow('x86');
});

test('the UEFI stub: its disk is only read, and the EEPROM is the flash bank with the variables', () => {
  const { flash: _, ...bare } = X86;
  const machine: Machine = { ...bare, firmware: 'uefi-stub', boot: '/lab/n1.boot' };
  expect(qemuCommand(machine).join(' ')).toBe(
    'qemu-system-x86_64 -machine q35,accel=tcg,smm=off,vmport=off,hpet=off ' +
      '-drive if=pflash,unit=0,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd ' +
      '-drive if=pflash,unit=1,format=raw,file=/lab/a,,b.eeprom -cpu Nehalem,+rdrand ' +
      '-nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot -chardev socket,id=qmp,fd=3 ' +
      '-mon chardev=qmp,mode=control -smp 1 -m 512M -netdev tap,id=lan,ifname=tap0,script=no,downscript=no ' +
      '-smbios type=1,uuid=0f9d1c3a-5d0e-4a52-9d3e-1b5b0a1f0001 ' +
      '-drive if=none,id=boot,format=raw,readonly=on,file=/lab/n1.boot ' +
      '-device virtio-blk-pci,drive=boot,serial=boot,bootindex=0 ' +
      '-device virtio-net-pci,disable-legacy=on,netdev=lan,mac=52:54:00:00:00:01,romfile=',
  );
  const { boot: __, ...without } = machine;
  expect(() => qemuCommand(without)).toThrow('needs a file for its variables and a boot disk');
});
