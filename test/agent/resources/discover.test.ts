/** Resource controllers on machines that are tables of files: what they find, what a broken file does, what bounds it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONTROLLERS, discoverResources } from '../../../agent/linux/resources/discover.ts';
import { placeOf } from '../../../agent/linux/resources/place.ts';
import { encodeFrame, MAX_AGENT_FRAME } from '../../../agent/protocol/frame.ts';
import { parseAgentMessage } from '../../../agent/protocol/messages.ts';
import { ipxeScript } from '../../../agent/protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../../../agent/protocol/pointer/layout.ts';
import { PointerStore } from '../../../agent/protocol/pointer/store.ts';
import { ubootEnv } from '../../../agent/protocol/pointer/uboot-env.ts';
import { RESOURCE_LIMITS, type ResourceKind } from '../../../agent/protocol/resources.ts';
import { FilesHost } from '../../fakes/files-host.ts';
import { TornEeprom } from '../../fakes/torn-eeprom.ts';

type Files = FilesHost['files'];

const found = (files: Files, kind?: ResourceKind) =>
  discoverResources(
    new FilesHost(files),
    CONTROLLERS.filter((each) => kind === undefined || each.kind === kind),
  );

/** What was found, by key. */
function of(files: Files, kind: ResourceKind) {
  const { resources, faults } = found(files, kind);
  expect(faults).toEqual([]);
  return Object.fromEntries(resources.map(({ key, fields }) => [key, fields]));
}

/** Files of one folder, `->` in front of what a link says. */
function folder(path: string, files: Record<string, string>): Files {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [
      name === '' ? path : `${path}/${name}`,
      text.startsWith('->') ? { link: text.slice(2) } : text,
    ]),
  );
}

const MAC = '00:16:3e:00:00:03';
const ETH0 = folder('/sys/class/net/eth0', {
  '': '->../../devices/pci0000:00/0000:00:03.0/virtio1/net/eth0',
  address: `${MAC}\n`,
  'device/uevent': 'DRIVER=virtio_net\nMODALIAS=virtio:d00000001v00001AF4\n',
  carrier: '1\n',
  speed: '10000\n',
  mtu: '1500\n',
});

describe('adapters', () => {
  it('are told by their addresses, with driver, place and link', () => {
    const bridge = folder('/sys/class/net/br0', {
      '': '->../../devices/virtual/net/br0',
      address: '52:54:00:00:00:01\n',
      mtu: '9000\n',
    });
    const loopback = folder('/sys/class/net/lo', {
      '': '->../../devices/virtual/net/lo',
      address: '00:00:00:00:00:00\n',
    });
    // What the bonding driver puts beside the adapters.
    const masters = { '/sys/class/net/bonding_masters': 'bond0\n' };
    expect(of({ ...ETH0, ...bridge, ...loopback, ...masters }, 'adapter')).toEqual({
      [MAC]: {
        name: 'eth0',
        mac: MAC,
        place: 'pci-0000:00:03.0',
        driver: 'virtio_net',
        carrier: true,
        megabits: 10000,
        mtu: 1500,
      },
      br0: { name: 'br0', mac: '52:54:00:00:00:01', mtu: 9000, virtual: true },
    });
  });

  it('that are down do not say whether there is a carrier', () => {
    const down = { ...ETH0, '/sys/class/net/eth0/carrier': { fails: 'EINVAL' } };
    expect(of(down, 'adapter')[MAC]).not.toHaveProperty('carrier');
    expect(of({ ...ETH0, '/sys/class/net/eth0/speed': '-1\n' }, 'adapter')[MAC]).not.toHaveProperty(
      'megabits',
    );
  });

  it('in a bond keep their own address', () => {
    const bonded = {
      ...ETH0,
      '/sys/class/net/eth0/address': '52:54:00:99:99:99\n',
      '/sys/class/net/eth0/bonding_slave/perm_hwaddr': `${MAC}\n`,
    };
    expect(Object.keys(of(bonded, 'adapter'))).toEqual([MAC]);
  });

  it('with one address are told apart all the same', () => {
    const vlan = folder('/sys/class/net/eth1', {
      '': '->../../devices/pci0000:00/0000:00:04.0/net/eth1',
      address: `${MAC}\n`,
      'device/uevent': '',
    });
    expect(Object.keys(of({ ...ETH0, ...vlan }, 'adapter'))).toEqual([MAC, `${MAC} #2`]);
  });
});

it('disks: where they sit, what they are; NBD is virtual, empty ones are none', () => {
  const files = {
    ...folder('/sys/block/sda', {
      '': '->../devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda',
      size: '1000\n',
      'queue/rotational': '1\n',
      removable: '0\n',
      'device/vendor': 'ATA     \n',
      'device/model': 'DISK 1T \n',
    }),
    ...folder('/sys/block/nvme0n1', {
      '': '->../devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1',
      size: '2000\n',
      'queue/rotational': '0\n',
      removable: '0\n',
      'device/serial': 'S4EV0001   \n',
      'device/model': 'SSD 970\n',
    }),
    ...folder('/sys/block/nbd0', {
      '': '->../devices/virtual/block/nbd0',
      size: '524288\n',
      'queue/rotational': '0\n',
    }),
    ...folder('/sys/block/nbd1', { '': '->../devices/virtual/block/nbd1', size: '0\n' }),
    ...folder('/sys/block/sr0', {
      '': '->../devices/pci0000:00/0000:00:1d.0/usb2/2-1/2-1.2/2-1.2:1.0/host5/target5:0:0/5:0:0:0/block/sr0',
      size: '8\n',
      removable: '1\n',
      ro: '1\n',
    }),
  };
  const disks = {
    'pci-0000:00:1f.2-ata-3-scsi-0:0:0:0': {
      name: 'sda',
      bytes: 512_000,
      model: 'ATA DISK 1T',
      rotational: true,
    },
    'pci-0000:00:06.0-nvme-1': {
      name: 'nvme0n1',
      bytes: 1_024_000,
      model: 'SSD 970',
      serial: 'S4EV0001',
      rotational: false,
    },
    nbd0: { name: 'nbd0', bytes: 268_435_456, virtual: true },
    'pci-0000:00:1d.0-usb-0:1.2:1.0-scsi-0:0:0:0': {
      name: 'sr0',
      bytes: 4096,
      removable: true,
      readOnly: true,
    },
  };
  expect(of(files, 'disk')).toEqual(disks);
  const listed =
    'major minor  #blocks  name\n\n   8        0        500 sda\n 259        0       1000 nvme0n1\n';
  expect(Object.keys(of({ ...files, '/proc/partitions': listed }, 'disk'))).toEqual([
    'pci-0000:00:06.0-nvme-1',
    'pci-0000:00:1f.2-ata-3-scsi-0:0:0:0',
  ]);
});

it('disks of a machine with hundreds, and of drivers with a folder of their own', () => {
  const disk = (name: string, at: number) =>
    folder(`/sys/block/${name}`, {
      '': `->../devices/pci0000:00/0000:00:${at.toString(16).padStart(2, '0')}.0/block/${name}`,
      size: '1000\n',
    });
  const nbds = Array.from({ length: 400 }, (_, at) => ` 43 ${at * 32}     262144 nbd${at}\n`).join('');
  const partitions = `major minor  #blocks  name\n\n${nbds} 104        0        500 cciss/c0d0\n   8        0        500 sda\n`;
  const files = { ...disk('cciss!c0d0', 3), ...disk('sda', 4), '/proc/partitions': partitions };
  expect(Object.keys(of(files, 'disk'))).toEqual(['pci-0000:00:03.0', 'pci-0000:00:04.0']);
});

it('a block device of the size of an EEPROM is a pointer store where it holds a boot pointer', () => {
  const pointer = {
    ...{ image: 'a', disks: ['d'], imagers: ['10.77.0.1'], cluster: 'demo', deployment: 'd1' },
    ...{ phase: 'deploy' as const, attempts: 3, fallback: '' },
  };
  const device = (name: string, size: number, layout?: PointerLayout) => {
    const chip = new TornEeprom(new Uint8Array(size));
    if (layout !== undefined) new PointerStore(layout, chip).write(pointer);
    return { [`/sys/block/${name}/size`]: `${size / 512}\n`, [`/dev/${name}`]: chip.bytes };
  };
  const files = {
    ...device('vda', 16_384, ubootEnv),
    ...device('vdb', 8192, ipxeScript),
    ...device('vdc', 16_384),
    ...device('vdd', 32_768, ubootEnv),
    ...device('loop0', 16_384, ubootEnv),
  };
  expect(of(files, 'pointer-store')).toEqual({ 'uboot-env:/dev/vda': {}, 'ipxe-script:/dev/vdb': {} });
});

it('a place has no number that depends on the order of drivers', () => {
  const one = placeOf('pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda');
  expect(placeOf('pci0000:00/0000:00:1f.2/ata1/host7/target7:0:0/7:0:0:0/block/sdq')).toBe(one);
  expect(placeOf('platform/a003e00.virtio_mmio/virtio5/block/vda')).toBe('platform-a003e00.virtio_mmio');
  expect(placeOf('pci0000:00/0000:00:01.0/0000:01:00.0/virtio0/net/eth0')).toBe('pci-0000:01:00.0');
  expect(placeOf('virtual/net/br0')).toBeUndefined();
});

describe('memory', () => {
  const blocks = (count: number) =>
    Object.fromEntries([
      ['/sys/devices/system/memory/block_size_bytes', '8000000\n'],
      ...Array.from({ length: count }, (_, at) => [`/sys/devices/system/memory/memory${at}/online`, '1\n']),
    ]);
  const total = (files: Files) => of(files, 'memory').total;

  it('is as much as the kernel has blocks of', () => {
    expect(total(blocks(4))).toEqual({ bytes: 512 * 2 ** 20 });
  });

  it('without blocks it is what is free to use, rounded: that is another amount at each boot', () => {
    for (const kilobytes of [500_000, 505_123, 520_000])
      expect(total({ '/proc/meminfo': `MemTotal:         ${kilobytes} kB\nMemFree: 1 kB\n` })).toEqual({
        bytes: 512 * 2 ** 20,
      });
  });

  it('has its modules where SMBIOS tells of them; empty sockets are none', () => {
    const table = Buffer.concat([
      module({
        size: 0x4000,
        locator: 'DIMM_A1',
        bank: 'BANK 0',
        maker: 'Maker',
        serial: '12AB',
        part: 'P-1',
        speed: 3200,
      }),
      module({ size: 0, locator: 'DIMM_A2', bank: 'BANK 0' }),
      module({ size: 0x7fff, extended: 65_536, locator: 'DIMM_B1', bank: 'BANK 1' }),
      module({ size: 0x8200, locator: 'ROM', bank: '' }),
      module({ size: 0xffff, locator: 'DIMM_B2', bank: 'BANK 1' }),
      Buffer.from([127, 4, 0, 0, 0, 0]),
      module({ size: 1, locator: 'behind the end', bank: '' }),
    ]);
    expect(of({ ...blocks(1), '/sys/firmware/dmi/tables/DMI': new Uint8Array(table) }, 'memory')).toEqual({
      total: { bytes: 128 * 2 ** 20 },
      'BANK 0/DIMM_A1': {
        bytes: 16 * 2 ** 30,
        manufacturer: 'Maker',
        part: 'P-1',
        serial: '12AB',
        megatransfers: 3200,
      },
      'BANK 1/DIMM_B1': { bytes: 64 * 2 ** 30 },
      ROM: { bytes: 512 * 1024 },
      'BANK 1/DIMM_B2': {},
    });
  });
});

it('processors: a package each, x86 and Arm', () => {
  const x86 = (at: number, pack: number, core: number) =>
    `processor\t: ${at}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon  X\nphysical id\t: ${pack}\ncore id\t\t: ${core}\nflags\t\t: fpu lm\n\n`;
  const files = {
    '/proc/sys/kernel/arch': 'x86_64\n',
    '/proc/cpuinfo': [x86(0, 0, 0), x86(1, 0, 0), x86(2, 0, 1), x86(3, 1, 0)].join(''),
  };
  const one = { model: 'Xeon  X', arch: 'x86_64', flags: expect.stringMatching(/^[0-9a-f]{8}$/) };
  expect(of(files, 'processor')).toEqual({
    'package 0': { ...one, cores: 2, threads: 3 },
    'package 1': { ...one, cores: 1, threads: 1 },
  });
  const arm = [0, 1]
    .map(
      (at) =>
        `processor\t: ${at}\nBogoMIPS\t: 125.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd07\nCPU revision\t: 0\n\n`,
    )
    .join('');
  expect(of({ '/proc/cpuinfo': arm }, 'processor')).toEqual({
    'package 0': {
      model: 'implementer 0x41 part 0xd07 r1p0',
      cores: 2,
      threads: 2,
      flags: expect.any(String),
    },
  });
});

it('devices on PCI and USB by their addresses', () => {
  const pci = folder('/sys/bus/pci/devices/0000:00:03.0', {
    uevent:
      'DRIVER=virtio-pci\nPCI_CLASS=20000\nPCI_ID=1AF4:1000\nPCI_SUBSYS_ID=1AF4:0001\nPCI_SLOT_NAME=0000:00:03.0\n',
  });
  expect(of(pci, 'pci')).toEqual({
    '0000:00:03.0': { id: '1af4:1000', subsystem: '1af4:0001', class: '020000', driver: 'virtio-pci' },
  });
  const usb = {
    ...folder('/sys/bus/usb/devices/1-1', {
      uevent: 'DEVTYPE=usb_device\nDRIVER=usb\nPRODUCT=46d/c31c/110\nTYPE=0/0/0\n',
      product: 'Stick\n',
      serial: 'A7\n',
      '1-1:1.0/uevent': 'DRIVER=usb-storage\n',
    }),
    ...folder('/sys/bus/usb/devices/1-1:1.0', { uevent: 'DRIVER=usb-storage\n' }),
  };
  expect(of(usb, 'usb')).toEqual({
    '1-1': { id: '046d:c31c', class: '0/0/0', product: 'Stick', serial: 'A7', drivers: 'usb-storage' },
  });
});

it('firmware and pointer stores', () => {
  const files = {
    '/sys/class/dmi/id/bios_vendor': 'Vendor\n',
    '/sys/class/dmi/id/bios_version': '1.2\n',
    '/sys/class/dmi/id/bios_date': '04/01/2014\n',
    '/sys/class/dmi/id/product_name': 'Board\n',
    '/sys/firmware/efi/fw_platform_size': '64\n',
    '/sys/firmware/efi/efivars/Boot0000-x': 'x',
    '/sys/firmware/devicetree/base/chosen/u-boot,version': '2023.01\0',
    '/sys/bus/i2c/devices/0-0050/eeprom': 'x',
    '/etc/fw_env.config': '',
    '/proc/cmdline': 'quiet bootwright.pointer=uboot-env:/dev/vda\n',
  };
  expect(of(files, 'firmware')).toEqual({
    smbios: { vendor: 'Vendor', version: '1.2', date: '04/01/2014' },
    uefi: { bits: 64 },
    'u-boot': { version: '2023.01' },
    board: { model: 'Board' },
  });
  expect(of(files, 'pointer-store')).toEqual({
    'uboot-env:/dev/vda': { booted: true },
    'eeprom:/sys/bus/i2c/devices/0-0050/eeprom': {},
    'efivars:/sys/firmware/efi/efivars': {},
    'fw-env:/etc/fw_env.config': {},
  });
});

describe('what is broken', () => {
  it('takes one entry away, and is said', () => {
    const files = {
      ...ETH0,
      ...folder('/sys/class/net/eth1', { address: 'x', 'device/uevent': '' }),
      '/sys/bus/pci/devices/0000:00:01.0/uevent': { fails: 'EIO' },
      '/sys/bus/pci/devices/0000:00:02.0/uevent': 'PCI_ID=8086:1237\nPCI_CLASS=60000\n',
      '/sys/bus/pci/devices/0000:00:03.0/uevent': '',
    };
    const { resources, faults } = found(files);
    expect(resources.map(({ kind, key }) => `${kind} ${key}`)).toEqual([
      `adapter ${MAC}`,
      'memory total',
      'pci 0000:00:02.0',
    ]);
    expect(faults.map(({ where, why }) => `${where}: ${why}`)).toEqual([
      expect.stringMatching(/net\/eth1: read link/),
      expect.stringMatching(/^processor: open \/proc\/cpuinfo/),
      expect.stringMatching(/00:01\.0: read .*EIO/),
      expect.stringMatching(/00:03\.0: it says no PCI_ID/),
    ]);
  });

  it('a controller that throws ends alone', () => {
    const { resources, faults } = discoverResources(new FilesHost(ETH0), [
      {
        kind: 'usb',
        discover() {
          throw new Error('on purpose');
        },
      },
      ...CONTROLLERS.filter(({ kind }) => kind === 'adapter'),
    ]);
    expect(resources).toHaveLength(1);
    expect(faults).toEqual([{ where: 'usb', why: 'on purpose' }]);
  });

  it('a table of SMBIOS, at any byte', () => {
    const table = Buffer.concat([
      module({ size: 0x4000, locator: 'A', bank: 'B', maker: 'M', serial: 'S', part: 'P' }),
      module({ size: 0x4000, locator: 'C', bank: 'D' }),
    ]);
    fc.assert(
      fc.property(fc.nat(table.length - 1), fc.nat(255), fc.nat(table.length), (at, byte, length) => {
        const bent = new Uint8Array(table);
        bent[at] = byte;
        const { resources, faults } = found(
          { '/sys/firmware/dmi/tables/DMI': bent.subarray(0, length) },
          'memory',
        );
        expect(faults).toEqual([]);
        expect(resources.length).toBeLessThanOrEqual(4);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a message', () => {
  const nasty = fc.string({ unit: 'binary', maxLength: 400 });

  it('keeps within its bounds whatever the files say, and is what the imager takes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(nasty, nasty), { maxLength: 40 }), nasty, (devices, text) => {
        const files = Object.assign(
          { '/sys/class/dmi/id/bios_vendor': text, '/proc/cpuinfo': `processor: 0\nmodel name: ${text}\n` },
          ...devices.map(([id, product], at) => ({
            [`/sys/bus/usb/devices/1-${at}/uevent`]: `PRODUCT=${id}\nTYPE=${product}\n`,
            [`/sys/bus/usb/devices/1-${at}/product`]: product,
          })),
        );
        const message = { type: 'resources', ...found(files) };
        expect(parseAgentMessage(message)).toEqual(message);
        expect(JSON.stringify(message)).not.toMatch(/\\u00[01]|\\n/);
      }),
      { numRuns: 100 },
    );
  });

  it('lacks a number that it cannot hold, and says so: a block device of 8 PiB', () => {
    const disk = (name: string, sectors: number) =>
      folder(`/sys/block/${name}`, { '': `->../devices/virtual/block/${name}`, size: `${sectors}\n` });
    const message = {
      type: 'resources',
      ...found({ ...disk('dm-0', 2 ** 44 - 1), ...disk('dm-1', 2 ** 44) }, 'disk'),
    };
    expect(parseAgentMessage(message)).toEqual(message);
    expect(message.resources.map(({ fields }) => fields)).toEqual([
      { name: 'dm-0', bytes: 2 ** 53 - 512, virtual: true },
      { name: 'dm-1', virtual: true },
    ]);
    expect(message.faults).toEqual([
      { where: 'disk dm-1', why: 'bytes is no number that a message holds: 9007199254740992' },
    ]);
  });

  it('of more than it holds leaves the last out, and says how many', () => {
    const wide = '\u{10348}'.repeat(80);
    for (const [count, product] of [
      [1030, 'p'],
      [300, wide],
    ] as const) {
      const files = Object.assign(
        {},
        ...Array.from({ length: count }, (_, at) => ({
          [`/sys/bus/usb/devices/1-${at}/uevent`]: 'PRODUCT=1/2/3\nTYPE=0/0/0\n',
          [`/sys/bus/usb/devices/1-${at}/product`]: product,
          [`/sys/bus/usb/devices/1-${at}/serial`]: product,
        })),
      );
      const message = { type: 'resources', ...found(files, 'usb') };
      expect(encodeFrame(message).length).toBeLessThan(MAX_AGENT_FRAME);
      expect(message.resources.length).toBeLessThanOrEqual(RESOURCE_LIMITS.resources);
      expect(message.faults.map(({ why }) => why).join()).toMatch(/names are not looked at|left out/);
      expect(parseAgentMessage(message)).toEqual(message);
    }
  });
});

/** SMBIOS type 17 of version 2.8 (DSP0134, 7.18). */
function module(of: {
  size: number;
  locator: string;
  bank: string;
  extended?: number;
  maker?: string;
  serial?: string;
  part?: string;
  speed?: number;
}): Buffer {
  const formatted = Buffer.alloc(0x28);
  formatted[0] = 17;
  formatted[1] = formatted.length;
  formatted.writeUInt16LE(of.size, 0x0c);
  formatted.writeUInt16LE(of.speed ?? 0, 0x15);
  formatted.writeUInt32LE(of.extended ?? 0, 0x1c);
  const texts: string[] = [];
  for (const [at, text] of [
    [0x10, of.locator],
    [0x11, of.bank],
    [0x17, of.maker],
    [0x18, of.serial],
    [0x1a, of.part],
  ] as const)
    if (text) formatted[at] = texts.push(text);
  return Buffer.concat([formatted, Buffer.from(`${texts.map((text) => `${text}\0`).join('')}\0`)]);
}
