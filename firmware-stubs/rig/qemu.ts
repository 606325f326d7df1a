/** QEMU command lines of the rigs, as pure functions of what the machine is. */

export type Rig = 'arm64' | 'x86';

export interface Machine {
  rig: Rig;
  /** Ethernet address, `52:54:00:00:00:01`. */
  mac: string;
  /** Hardware UID in the text form of agent/protocol/uid.ts. */
  uid: string;
  memoryMiB: number;
  /** TAP device in the namespace QEMU is started in. */
  tap: string;
  /** File of 8192 bytes: the node's first virtio disk. */
  eeprom: string;
  /** arm64: file with U-Boot's environment, 64 MiB. */
  flash?: string;
}

/** Firmware of Debian's packages `u-boot-qemu` and `ipxe`. */
const UBOOT = '/usr/lib/u-boot/qemu_arm64/u-boot.bin';
const IPXE = '/usr/lib/ipxe/ipxe.lkrn';

/**
 * Program and arguments; the serial line is on standard output. Nothing but what a boot needs: each device that
 * firmware and kernel would have to probe costs time under emulation.
 */
export function qemuCommand(machine: Machine): string[] {
  return machine.rig === 'arm64' ? arm64Command(machine) : x86Command(machine);
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
 * SeaBIOS starts iPXE, whose script is the EEPROM (firmware-stubs/ipxe). `graphics=off` sends the firmware's text to the
 * serial line; without SMM, HPET and the VMware port it starts 0.1 s sooner. Nehalem has less to set up than `max`;
 * rdrand keeps the kernel from waiting for entropy.
 */
function x86Command(machine: Machine): string[] {
  return [
    'qemu-system-x86_64',
    ...['-machine', 'pc,accel=tcg,graphics=off,smm=off,vmport=off,hpet=off', '-cpu', 'Nehalem,+rdrand'],
    ...common(machine),
    ...['-kernel', IPXE, '-initrd', machine.eeprom],
    ...['-smbios', `type=1,${smbiosIdentity(machine.uid)}`],
    ...['-device', 'virtio-blk-pci,drive=eeprom,serial=eeprom'],
    ...['-device', `virtio-net-pci,netdev=lan,mac=${machine.mac},romfile=`],
  ];
}

function common(machine: Machine): string[] {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-monitor', 'none', '-serial', 'stdio'],
    // A reset ends the process, and QMP on descriptor 3 tells that it was one (node.ts starts the next).
    ...['-no-reboot', '-chardev', 'socket,id=qmp,fd=3', '-mon', 'chardev=qmp,mode=control'],
    ...['-smp', '1', '-m', `${machine.memoryMiB}M`],
    ...['-drive', `if=none,id=eeprom,format=raw,file=${path(machine.eeprom)}`],
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
