/** Sources of hardware UIDs on machines that are tables of files: what each gives, what it rejects, which one counts. */
import { normalize } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UID_SOURCES, uidOrder } from '../../../agent/linux/uid/sources.ts';
import { readUid, readUids } from '../../../agent/linux/uid.ts';
import { parseUid, uidFromGuidBytes } from '../../../agent/protocol/uid.ts';
import { FilesHost } from '../../fakes/files-host.ts';

const UUID = '6f1a2c3e-0b5d-4e7f-8a91-b2c3d4e5f601';
const DMI = '/sys/class/dmi/id';

function adapter(
  name: string,
  mac: string,
  place: string,
  more: FilesHost['files'] = {},
): FilesHost['files'] {
  const folder = `/sys/class/net/${name}`;
  return {
    [folder]: { link: `../../devices/${place}/net/${name}` },
    [`${folder}/address`]: `${mac}\n`,
    [`${folder}/addr_assign_type`]: '0\n',
    [`${folder}/type`]: '1\n',
    [`${folder}/device/uevent`]: '',
    ...Object.fromEntries(Object.entries(more).map(([file, text]) => [`${folder}/${file}`, text])),
  };
}

const uidOn = (files: FilesHost['files']) => readUid(new FilesHost(files));
const readingOf = (source: string, files: FilesHost['files']) =>
  readUids(new FilesHost(files)).find((each) => each.source === source);

describe('each source', () => {
  it.each([
    ['file', { '/etc/bootwright/uid': ` ${UUID.toUpperCase()}\n` }, UUID],
    ['file', { '/etc/bootwright/uid': 'serial:Rack-7.3\n' }, 'serial:rack-7.3'],
    ['smbios-uuid', { [`${DMI}/product_uuid`]: `${UUID}\n` }, UUID],
    ['smbios-product', { [`${DMI}/product_serial`]: 'CZC1234X \n' }, 'serial:czc1234x'],
    ['smbios-board', { [`${DMI}/board_serial`]: 'PF0ABC\n' }, 'serial:pf0abc'],
    ['smbios-chassis', { [`${DMI}/chassis_serial`]: 'CH-1\n' }, 'serial:ch-1'],
    [
      'devicetree',
      { '/sys/firmware/devicetree/base/serial-number': '10000000abcdef01\0' },
      'serial:10000000abcdef01',
    ],
    ['devicetree', { '/sys/firmware/devicetree/base/serial-number': `${UUID}\0` }, UUID],
    ['mac', adapter('eth0', '00:16:3E:01:02:03', 'pci0000:00/0000:00:03.0'), 'mac:00:16:3e:01:02:03'],
  ])('%s gives a UID in its canonical form', (source, files, uid) => {
    expect(readingOf(source, files)).toMatchObject({ source, uid });
    expect(uidOn(files)).toBe(uid);
    expect(parseUid(uid)).toBe(uid);
  });
});

describe('what boards ship unset is no UID', () => {
  it.each([
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    'FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE',
    '58585858-5858-5858-5858-585858585858',
    '03000200-0400-0500-0006-000700080009',
    '00020003-0004-0005-0006-000700080009',
    '12345678-1234-5678-90AB-CDDEEFAABBCC',
    '56F49712-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    'FFFFFF00-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '00010203-0405-0607-0809-0A0B0C0D0E0F',
    'Not Settable',
  ])('UUID %s', (uuid) => {
    const reading = readingOf('smbios-uuid', { [`${DMI}/product_uuid`]: `${uuid}\n` });
    expect(reading).toMatchObject({ value: uuid, why: expect.stringMatching(/\w/) });
    expect(reading?.uid).toBeUndefined();
    expect(parseUid(uuid)).toBeUndefined();
  });

  it.each([
    'To be filled by O.E.M.',
    'To Be Filled By O.E.M.',
    'System Serial Number',
    'Chassis Serial Number',
    'Default string',
    '0123456789',
    '123456789',
    'MB-1234567890',
    'None',
    'Not Specified',
    'NOT AVAILABLE',
    'N/A',
    'XXXXXXXX',
    '00000000',
    '.',
    '--------',
    '03000200-0400-0500-0006-000700080009',
    '{00020003-0004-0005-0006-000700080009}',
    '12345678123456781234567812345678',
    '56F49712-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
  ])('serial number "%s"', (serial) => {
    for (const [source, file] of [
      ['smbios-product', 'product_serial'],
      ['smbios-board', 'board_serial'],
      ['smbios-chassis', 'chassis_serial'],
      ['devicetree', '../../../firmware/devicetree/base/serial-number'],
    ]) {
      const reading = readingOf(source!, { [normalize(`${DMI}/${file}`)]: `${serial}\n` });
      expect(reading?.uid).toBeUndefined();
      expect(reading).toMatchObject({ value: serial, why: expect.stringMatching(/\w/) });
    }
  });

  it('a rejected one leaves the next its turn', () => {
    const files = {
      [`${DMI}/product_uuid`]: '03000200-0400-0500-0006-000700080009\n',
      [`${DMI}/product_serial`]: 'Default string\n',
      [`${DMI}/board_serial`]: 'A1B2C3\n',
    };
    expect(uidOn(files)).toBe('serial:a1b2c3');
    expect(readUids(new FilesHost(files)).map(({ source, uid }) => [source, uid])).toEqual([
      ['file', undefined],
      ['smbios-uuid', undefined],
      ['smbios-product', undefined],
      ['smbios-board', 'serial:a1b2c3'],
      ['smbios-chassis', undefined],
      ['devicetree', undefined],
      ['tpm', undefined],
      ['mac', undefined],
    ]);
  });
});

describe('the address of an adapter', () => {
  const PCI3 = 'pci0000:00/0000:00:03.0';
  const PCI4 = 'pci0000:00/0000:00:04.0';
  const USB = 'pci0000:00/0000:00:01.2/usb1/1-1/1-1:1.0';
  const mac = (...adapters: FilesHost['files'][]) => readingOf('mac', Object.assign({}, ...adapters));

  it('is of the first on its bus, whatever the names are, and of one on USB only where there is no other', () => {
    const [first, second] = ['00:16:3e:00:00:03', '00:16:3e:00:00:04'];
    expect(mac(adapter('eth0', second, PCI4), adapter('eth1', first, PCI3))?.uid).toBe(`mac:${first}`);
    expect(mac(adapter('eth0', second, USB), adapter('eth1', first, PCI3))?.uid).toBe(`mac:${first}`);
    expect(mac(adapter('eth0', second, USB))?.uid).toBe(`mac:${second}`);
  });

  it('is never that of a virtual adapter, nor of one that is no Ethernet', () => {
    const folder = '/sys/class/net/br0';
    const bridge = {
      [folder]: { link: '../../devices/virtual/net/br0' },
      [`${folder}/address`]: '00:16:3e:00:00:01\n',
      [`${folder}/addr_assign_type`]: '0\n',
      [`${folder}/type`]: '1\n',
    };
    expect(mac(bridge)?.uid).toBeUndefined();
    expect(mac(bridge, adapter('ib0', '00:16:3e:00:00:02', PCI3, { type: '32\n' }))?.uid).toBeUndefined();
  });

  it.each([
    ['52:54:00:77:00:11', /locally administered/],
    ['01:00:5e:00:00:01', /multicast/],
    ['00:00:00:00:00:00', /zeroes/],
  ])('%s is none, and the next adapter is asked', (address, why) => {
    expect(mac(adapter('eth0', address, PCI3))).toMatchObject({
      why: expect.stringMatching(why),
      value: address,
    });
    expect(mac(adapter('eth0', address, PCI3), adapter('eth1', '00:16:3e:00:00:04', PCI4))?.uid).toBe(
      'mac:00:16:3e:00:00:04',
    );
  });

  it('is the one it was made with, in a bond too; where that is hidden, none', () => {
    const own = '00:16:3e:00:00:03';
    const set = { addr_assign_type: '3\n' };
    const next = adapter('eth1', '00:16:3e:00:00:04', PCI4);
    expect(mac(adapter('eth0', '00:16:3e:99:99:99', PCI3, set), next)).toMatchObject({
      why: expect.stringContaining('set by hand'),
    });
    const bonded = { ...set, 'bonding_slave/perm_hwaddr': `${own}\n` };
    expect(mac(adapter('eth0', '00:16:3e:99:99:99', PCI3, bonded), next)?.uid).toBe(`mac:${own}`);
  });
});

describe('order', () => {
  const files = {
    [`${DMI}/product_uuid`]: `${UUID}\n`,
    [`${DMI}/board_serial`]: 'A1B2C3\n',
    ...adapter('eth0', '00:16:3e:00:00:03', 'pci0000:00/0000:00:03.0'),
  };

  it.each([
    ['quiet', UUID],
    ['bootwright.uid=mac', 'mac:00:16:3e:00:00:03'],
    ['bootwright.uid=tpm,smbios-board quiet', 'serial:a1b2c3'],
    ['bootwright.uid=mac bootwright.uid=smbios-uuid', UUID],
  ])('%s', (line, uid) => {
    expect(uidOn({ ...files, '/proc/cmdline': `console=ttyS0 ${line}\n` })).toBe(uid);
  });

  it('a source that is not there is an error that names those that are', () => {
    for (const line of ['bootwright.uid=tmp', 'bootwright.uid=', 'bootwright.uid=mac,'])
      expect(() => uidOn({ ...files, '/proc/cmdline': line })).toThrow(
        /no source ".*", but file, smbios-uuid, .*mac/,
      );
  });

  it("a source of one's own takes its place among them", () => {
    const own = { name: 'own', about: 'ours', read: () => ({ uid: UUID }) };
    expect(uidOrder('bootwright.uid=own,mac', [...UID_SOURCES, own]).map(({ name }) => name)).toEqual([
      'own',
      'mac',
    ]);
  });

  it('without any the error says why each has none', () => {
    expect(() => uidOn({ [`${DMI}/product_uuid`]: 'Not Settable\n' })).toThrow(
      /no hardware UID: .*\n {2}file: there is no .*\n {2}smbios-uuid: it is no UUID\n(?:.*\n)* {2}tpm: there is no TPM\n {2}mac: there is no physical/,
    );
  });

  it('one that is there and cannot be read is not passed over: the node would join as another', () => {
    const broken = { ...files, [`${DMI}/product_uuid`]: { fails: 'EIO' } };
    expect(() => uidOn(broken)).toThrow(/smbios-uuid cannot be read \(.*EIO.*bootwright\.uid=/);
    expect(uidOn({ ...broken, '/proc/cmdline': 'bootwright.uid=smbios-board' })).toBe('serial:a1b2c3');
    expect(uidOn({ ...broken, '/etc/bootwright/uid': UUID })).toBe(UUID);
    const readings = readUids(new FilesHost(broken));
    expect(readings.find(({ source }) => source === 'smbios-uuid')).toMatchObject({ unread: true });
    expect(readings.find(({ source }) => source === 'mac')?.uid).toBe('mac:00:16:3e:00:00:03');
  });
});

it('whatever firmware says, what comes of it is a UID in its canonical form or none', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.uuid(),
    fc.constantFrom('None', UUID, 'A1'),
  );
  fc.assert(
    fc.property(text, text, text, (uuid, board, tree) => {
      const readings = readUids(
        new FilesHost({
          [`${DMI}/product_uuid`]: uuid,
          [`${DMI}/board_serial`]: board,
          '/sys/firmware/devicetree/base/serial-number': tree,
        }),
      );
      for (const { uid, why } of readings) {
        if (uid !== undefined) expect(parseUid(uid)).toBe(uid);
        else expect(why).toMatch(/\w/);
      }
    }),
    { numRuns: 300 },
  );
});

it('what firmware tells DHCP of SMBIOS (option 97) is the same UID, and the same values are none', () => {
  const guid = Uint8Array.from([
    ...[0x3e, 0x2c, 0x1a, 0x6f, 0x5d, 0x0b, 0x7f, 0x4e],
    ...[0x8a, 0x91, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6, 0x01],
  ]);
  expect(uidFromGuidBytes(guid)).toBe(uidOn({ [`${DMI}/product_uuid`]: UUID }));
  const unset = Uint8Array.from([0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9]);
  expect(uidFromGuidBytes(unset)).toBeUndefined();
});
