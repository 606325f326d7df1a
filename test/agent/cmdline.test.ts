/** What the firmware stubs put on the kernel's command line, as the agent reads it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BootLineError, parseBootLine } from '../../agent/linux/cmdline.ts';

const IP = 'ip=10.77.0.11::10.77.0.1:255.255.255.0:node1:eth0:off';
const line = (ip = IP) =>
  `console=ttyAMA0 quiet bootwright.image=alpha bootwright.pointer=uboot-env:/dev/vda ${ip}\n`;

describe('the kernel command line', () => {
  it('as both stubs write it', () => {
    expect(parseBootLine(line())).toEqual({
      image: 'alpha',
      pointer: { layout: 'uboot-env', device: '/dev/vda' },
      watchdogSeconds: 60,
      network: {
        address: '10.77.0.11',
        gateway: '10.77.0.1',
        prefix: 24,
        hostname: 'node1',
        device: 'eth0',
      },
    });
  });

  it('without gateway and host name, and with a gateway of 0.0.0.0 as U-Boot prints none', () => {
    const bare = parseBootLine(line('ip=10.0.0.2:::255.255.255.252::eth1:off')).network;
    expect(bare).toEqual({
      address: '10.0.0.2',
      gateway: undefined,
      prefix: 30,
      hostname: undefined,
      device: 'eth1',
    });
    expect(parseBootLine(line('ip=10.0.0.2::0.0.0.0:255.0.0.0:::')).network.gateway).toBeUndefined();
  });

  it.each([
    ['bootwright.watchdog=off', undefined],
    ['bootwright.watchdog=30', 30],
  ])('%s', (word, seconds) => {
    expect(parseBootLine(`${line()} ${word}`).watchdogSeconds).toBe(seconds);
  });

  it.each(['0', '9', '601', 'on', '-30'])('bootwright.watchdog=%s is refused', (value) => {
    expect(() => parseBootLine(`${line()} bootwright.watchdog=${value}`)).toThrow('10 to 600 seconds');
  });

  it.each([
    ['', 'has no bootwright.pointer='],
    ['bootwright.pointer=uboot-env', 'is not LAYOUT:DEVICE'],
    ['bootwright.pointer=uboot-env:/dev/vda', 'has no bootwright.image='],
    [line(''), 'has no ip='],
    [line('ip=dhcp'), 'no address and netmask'],
    [line('ip=10.0.0.2:::255.0.255.0::eth0:off'), 'no address and netmask'],
    [line('ip=10.0.0.300:::255.0.0.0::eth0:off'), 'no address and netmask'],
  ])('says what is wrong with %j', (text, message) => {
    expect(() => parseBootLine(text)).toThrow(message);
  });

  it('throws nothing but its own error, whatever the text', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => line(`ip=${text}`)),
        ),
        (text) => {
          try {
            parseBootLine(text);
          } catch (error) {
            expect(error).toBeInstanceOf(BootLineError);
          }
        },
      ),
    );
  });
});
