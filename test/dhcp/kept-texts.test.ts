/** Texts that are kept are always those of what was asked for, however others took their places. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addressFromBytes, addressText } from '../../imager/dhcp/ipv4.ts';
import { readMac, writeMac } from '../../imager/dhcp/mac.ts';
import { parametersFrom } from '../../imager/dhcp/options/parameters.ts';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
/** Few values in each byte: most of them share a place with others. */
const crowded = (length: number) =>
  fc.array(fc.constantFrom(0, 1, 64, 128, 255), { minLength: length, maxLength: length });

/** Checks `what` for lists of `each`. */
function holds<T>(what: string, each: fc.Arbitrary<T>, check: (all: T[]) => void): void {
  test(what, () => fc.assert(fc.property(fc.array(each, { minLength: 1, maxLength: 50 }), check)));
}

holds('addresses', fc.oneof(bytesOf(4), crowded(4)), (all) => {
  for (const bytes of [...all, ...all]) {
    const text = [...bytes].join('.');
    expect(addressFromBytes(Uint8Array.from([9, ...bytes]), 1)).toBe(text);
    expect(addressText(Buffer.from(bytes).readUInt32BE())).toBe(text);
  }
});

holds('MACs', fc.oneof(bytesOf(6), crowded(6)), (all) => {
  for (const bytes of [...all, ...all]) {
    const text = Buffer.from(bytes)
      .toString('hex')
      .replace(/..(?!$)/g, '$&:');
    expect(readMac(Uint8Array.from([9, ...bytes]), 1)).toBe(text);
    const back = new Uint8Array(8);
    writeMac(back, 1, text);
    expect([...back]).toEqual([0, ...bytes, 0]);
  }
});

const list = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  crowded(3).map((codes) => Uint8Array.from(codes)),
);

holds('lists of options asked for', list, (all) => {
  for (const codes of [...all, ...all]) {
    const value = Uint8Array.from(codes);
    const found = parametersFrom(value);
    // What is kept is no view of a message.
    value.fill(7);
    expect([...found.codes]).toEqual([...new Set(codes)]);
    expect(found.text).toBe([...codes].join());
  }
});
