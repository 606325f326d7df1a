/** QEMU command lines of the rigs, as pure functions of what the machine is. */

export type Rig = 'arm64' | 'x86';

/**
 * Firmware that asks the network what to boot, on an x86-64 machine: the iPXE ROM of the adapter under SeaBIOS and under
 * UEFI, UEFI's own PXE and HTTP boot, and U-Boot as it leaves the factory, which tries its disks first.
 */
export type NetworkFirmware = 'ipxe-bios' | 'ipxe-uefi' | 'uefi-pxe' | 'uefi-http' | 'uboot-x86';

/**
 * Firmware of ours that counts attempts, falls back and listens, on an x86-64 machine: the BIOS stub under SeaBIOS, and the
 * UEFI stub under OVMF, whose boot pointer is in UEFI variables.
 */
export type StubFirmware = 'bios-stub' | 'uefi-stub';

export interface Machine {
  rig: Rig;
  /** Only with rig `x86`; without it iPXE boots what the pointer in the EEPROM names. */
  firmware?: NetworkFirmware | StubFirmware;
  /** Ethernet address, `52:54:00:00:00:01`. */
  mac: string;
  /** Hardware UID in the text form of agent/protocol/uid.ts. */
  uid: string;
  memoryMiB: number;
  /** Default 1. */
  processors?: number;
  /** More hardware: arguments of QEMU, behind all others. */
  devices?: readonly string[];
  /** TAP device in the namespace QEMU is started in. */
  tap: string;
  /**
   * File of the EEPROM (eeprom.ts): the node's first virtio disk. Every machine without network firmware has one. UEFI stub: the file with
   * the machine's UEFI variables instead.
   */
  eeprom?: string;
  /** A stub's boot disk, which is only read (firmware-stubs/bios; uefi-disk.ts). */
  boot?: string;
  /** arm64: file with U-Boot's environment, 64 MiB. UEFI without the stub: file with its variables. */
  flash?: string;
}

/** Firmware of Debian's packages `u-boot-qemu`, `ipxe` and `ovmf`. */
const UBOOT = '/usr/lib/u-boot/qemu_arm64/u-boot.bin';
/** The 32-bit one: the 64-bit one loads a bzImage over itself. */
const UBOOT_X86 = '/usr/lib/u-boot/qemu-x86/u-boot.rom';
export const IPXE = '/usr/lib/ipxe/ipxe.lkrn';
const UEFI = '/usr/share/OVMF/OVMF_CODE_4M.fd';
/** Variables of a UEFI machine as it leaves the factory. */
export const UEFI_VARIABLES = '/usr/share/OVMF/OVMF_VARS_4M.fd';

/** Firmware of ours, which has a disk to start from. */
export function isStub(firmware: Machine['firmware']): firmware is StubFirmware {
  return firmware === 'bios-stub' || firmware === 'uefi-stub';
}

/** Firmware that asks the network and keeps variables in a flash file of its own. */
export function isUefi(firmware: Machine['firmware']): boolean {
  return firmware === 'ipxe-uefi' || firmware === 'uefi-pxe' || firmware === 'uefi-http';
}

/**
 * Program and arguments; the serial line is on standard output. Nothing but what a boot needs: each device that
 * firmware and kernel would have to probe costs time under emulation.
 */
export function qemuCommand(machine: Machine): string[] {
  return [...boardCommand(machine), ...(machine.devices ?? [])];
}

function boardCommand(machine: Machine): string[] {
  if (machine.firmware === 'bios-stub') return x86Command(machine, biosStubBoot(machine));
  if (machine.firmware === 'uefi-stub') return uefiStubCommand(machine);
  if (machine.firmware !== undefined) return networkBootCommand(machine, machine.firmware);
  return machine.rig === 'arm64' ? arm64Command(machine) : x86Command(machine, ipxeBoot(machine));
}

function arm64Command(machine: Machine): string[] {
  if (machine.flash === undefined) throw new Error('an arm64 machine needs a flash file');
  return [
    'qemu-system-aarch64',
    ...['-machine', 'virt,accel=tcg', '-cpu', 'cortex-a57'],
    ...common(machine),
    ...['-bios', UBOOT],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${path(machine.flash)}`],
    ...['-device', 'virtio-blk-device,drive=eeprom,serial=eeprom'],
    ...['-device', `virtio-net-device,netdev=lan,mac=${machine.mac}`],
  ];
}

/**
 * SeaBIOS with what it starts. `graphics=off` sends the firmware's text to the serial line; without SMM, HPET and the VMware
 * port it starts 0.1 s sooner. Nehalem has less to set up than `max`; rdrand keeps the kernel from waiting for entropy.
 */
function x86Command(machine: Machine, boot: string[]): string[] {
  if (machine.eeprom === undefined)
    throw new Error('an x86 machine without network firmware needs an EEPROM');
  return [
    'qemu-system-x86_64',
    ...['-machine', 'pc,accel=tcg,graphics=off,smm=off,vmport=off,hpet=off', '-cpu', 'Nehalem,+rdrand'],
    ...common(machine),
    ...['-smbios', `type=1,${smbiosIdentity(machine.uid)}`],
    ...['-device', 'virtio-blk-pci,drive=eeprom,serial=eeprom'],
    ...boot,
    ...['-device', `virtio-net-pci,netdev=lan,mac=${machine.mac},romfile=`],
  ];
}

/** iPXE, whose script is the EEPROM (firmware-stubs/ipxe). */
function ipxeBoot({ eeprom = '' }: Machine): string[] {
  return ['-kernel', IPXE, '-initrd', eeprom];
}

/** The boot disk, behind the EEPROM: that one is /dev/vda. */
function biosStubBoot({ boot }: Machine): string[] {
  if (boot === undefined) throw new Error('a machine with the BIOS stub needs a boot disk');
  return [
    ...['-drive', `if=none,id=boot,format=raw,readonly=on,file=${path(boot)}`],
    ...['-device', 'virtio-blk-pci,drive=boot,bootindex=0'],
  ];
}

/** Without a ROM on the adapter the stub has the firmware's own driver for it. */
function uefiStubCommand(machine: Machine): string[] {
  const { eeprom, boot, ...rest } = machine;
  if (eeprom === undefined || boot === undefined)
    throw new Error('a machine with the UEFI stub needs a file for its variables and a boot disk');
  return [
    'qemu-system-x86_64',
    ...uefiOptions(eeprom),
    ...['-cpu', 'Nehalem,+rdrand'],
    ...common(rest),
    ...['-smbios', `type=1,${smbiosIdentity(machine.uid)}`],
    ...['-drive', `if=none,id=boot,format=raw,readonly=on,file=${path(boot)}`],
    ...['-device', 'virtio-blk-pci,drive=boot,serial=boot,bootindex=0'],
    ...['-device', `virtio-net-pci,disable-legacy=on,netdev=lan,mac=${machine.mac},romfile=`],
  ];
}

/** QEMU's own ROM for the adapter is iPXE for BIOS and UEFI in one file; without it the firmware's driver has the adapter. */
function networkBootCommand(machine: Machine, firmware: NetworkFirmware): string[] {
  if (machine.rig !== 'x86') throw new Error(`firmware ${firmware} is of x86 machines`);
  const rom = firmware === 'ipxe-bios' || firmware === 'ipxe-uefi' ? '' : ',romfile=';
  return [
    'qemu-system-x86_64',
    ...firmwareOptions(machine, firmware),
    ...['-cpu', 'Nehalem,+rdrand'],
    ...common(machine),
    ...['-smbios', `type=1,${smbiosIdentity(machine.uid)}`],
    ...(machine.eeprom === undefined ? [] : ['-device', 'virtio-blk-pci,drive=eeprom,serial=eeprom']),
    // U-Boot 2023.01 reads the address of a legacy virtio adapter as its first byte six times.
    ...['-device', `virtio-net-pci,disable-legacy=on,netdev=lan,mac=${machine.mac},bootindex=0${rom}`],
  ];
}

const QUICK = 'accel=tcg,smm=off,vmport=off,hpet=off';

function firmwareOptions({ flash }: Machine, firmware: NetworkFirmware): string[] {
  if (firmware === 'uboot-x86') return ['-machine', `pc,${QUICK}`, '-bios', UBOOT_X86];
  if (firmware === 'ipxe-bios') return ['-machine', `pc,graphics=off,${QUICK}`];
  if (flash === undefined) throw new Error('a UEFI machine needs a flash file for its variables');
  // The adapter's boot options come in the order PXE, HTTP: the ones that are not wanted are left out.
  const pxe = ['IPv4PXESupport', 'IPv6PXESupport'].flatMap((name) => [
    '-fw_cfg',
    `name=opt/org.tianocore/${name},string=n`,
  ]);
  return [...uefiOptions(flash), ...(firmware === 'uefi-http' ? pxe : [])];
}

function uefiOptions(variables: string): string[] {
  return [
    ...['-machine', `q35,${QUICK}`],
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${UEFI}`],
    ...['-drive', `if=pflash,unit=1,format=raw,file=${path(variables)}`],
  ];
}

function common(machine: Machine): string[] {
  const { eeprom } = machine;
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-serial', 'stdio'],
    // A reset ends the process, and QMP on descriptor 3 tells that it was one (node.ts starts the next).
    ...['-no-reboot', '-chardev', 'socket,id=qmp,fd=3', '-mon', 'chardev=qmp,mode=control'],
    ...['-smp', String(machine.processors ?? 1), '-m', `${machine.memoryMiB}M`],
    ...(eeprom === undefined ? [] : ['-drive', `if=none,id=eeprom,format=raw,file=${path(eeprom)}`]),
    ...['-netdev', `tap,id=lan,ifname=${machine.tap},script=no,downscript=no`],
  ];
}

/** SMBIOS type 1: a UUID where the UID is one, the serial number otherwise. */
function smbiosIdentity(uid: string): string {
  const serial = /^serial:(.*)$/.exec(uid)?.[1];
  return serial === undefined ? `uuid=${uid}` : `serial=${path(serial)}`;
}

/** QEMU splits option values at commas; a doubled one stands for itself. */
function path(text: string): string {
  return text.replaceAll(',', ',,');
}
