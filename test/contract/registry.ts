/** What every implementation of the registry must do. Call inside a test file with a factory. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, Registry } from '../../imager/registry/registry.ts';

export function registryContract(name: string, open: () => Promise<Registry>): void {
  describe(`${name} keeps the registry's contract`, () => {
    let registry: Registry;
    beforeEach(async () => {
      registry = await open();
    });
    afterEach(() => registry.close());

    const put = (key: string[], value: unknown) => registry.transact((tx) => tx.put(key, value));
    const keys = (prefix: string[]) => registry.range(prefix).map((entry) => entry.key);

    test('an empty registry has revision 0 and nothing in it', () => {
      expect(registry.revision()).toBe(0);
      expect(registry.range([])).toEqual([]);
      expect(registry.get(['lease', '10.77.0.11'])).toBeUndefined();
    });

    test('a committed value is read back as soon as transact resolves', async () => {
      await put(['lease', '10.77.0.11'], { mac: '52:54:00:00:00:01', until: 1.5 });
      expect(registry.get(['lease', '10.77.0.11'])).toEqual({ mac: '52:54:00:00:00:01', until: 1.5 });
      expect(registry.get(['lease'])).toBeUndefined();
    });

    test('the result of the work is the result of transact', async () => {
      await put(['a'], 1);
      expect(await registry.transact((tx) => tx.get<number>(['a'])! + 1)).toBe(2);
    });

    test('the revision grows by one with each transaction that writes, and by none with the others', async () => {
      await registry.transact((tx) => {
        tx.put(['a'], 1);
        tx.put(['b'], 2);
      });
      expect(registry.revision()).toBe(1);
      await registry.transact((tx) => tx.get(['a']));
      await registry.transact((tx) => tx.delete(['absent']));
      await registry.transact((tx) => {
        tx.put(['passing'], 1);
        tx.delete(['passing']);
      });
      expect(registry.revision()).toBe(1);
      await put(['b'], 2);
      expect(registry.range([])).toEqual([
        { key: ['a'], value: 1, revision: 1 },
        { key: ['b'], value: 2, revision: 2 },
      ]);
    });

    test('work that throws leaves nothing behind and rejects with what it threw', async () => {
      await put(['a'], 'before');
      const failure = registry.transact((tx) => {
        tx.put(['a'], 'after');
        tx.put(['b'], 1);
        throw new Error('changed my mind');
      });
      await expect(failure).rejects.toThrow('changed my mind');
      expect(registry.range([])).toEqual([{ key: ['a'], value: 'before', revision: 1 }]);
      expect(registry.revision()).toBe(1);
    });

    test('a transaction sees its own writes, in get and in range', async () => {
      await put(['n', 'old'], 1);
      const seen = await registry.transact((tx) => {
        tx.put(['n', 'new'], 2);
        tx.put(['n', 'old'], 3);
        tx.put(['n', 'gone'], 4);
        tx.delete(['n', 'gone']);
        return [tx.get(['n', 'new']), tx.get(['n', 'gone']), tx.range(['n']).map((e) => [e.key[1], e.value])];
      });
      expect(seen).toEqual([
        2,
        undefined,
        [
          ['new', 2],
          ['old', 3],
        ],
      ]);
    });

    test('transactions run one after another, in the order of the calls', async () => {
      const order: number[] = [];
      const adding = Array.from({ length: 50 }, (_, i) =>
        registry.transact((tx) => {
          order.push(i);
          tx.put(['count'], (tx.get<number>(['count']) ?? 0) + 1);
          if (i % 7 === 3) throw new Error('not this one');
        }),
      );
      const results = await Promise.allSettled(adding);
      expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
      const succeeded = results.filter((result) => result.status === 'fulfilled').length;
      expect(succeeded).toBe(43);
      expect(registry.get(['count'])).toBe(succeeded);
      expect(registry.revision()).toBe(succeeded);
    });

    test('a prefix is made of whole parts', async () => {
      await registry.transact((tx) => {
        for (const key of [['disk'], ['disk', 'a'], ['disk', 'a', 'x'], ['disk', 'ab'], ['disks', 'a']])
          tx.put(key, true);
      });
      expect(keys(['disk'])).toEqual([['disk'], ['disk', 'a'], ['disk', 'a', 'x'], ['disk', 'ab']]);
      expect(keys(['disk', 'a'])).toEqual([
        ['disk', 'a'],
        ['disk', 'a', 'x'],
      ]);
      expect(keys(['dis'])).toEqual([]);
      expect(keys([])).toHaveLength(5);
    });

    test('keys are ordered part by part, as text', async () => {
      const sorted = [
        ['a'],
        ['a', '\u0001'],
        ['a', 'b'],
        ['a-b'],
        ['ab'],
        ['B'],
        ['é'],
        ['\u{ff5e}'],
        ['\u{1f4be}'],
      ].sort((x, y) => Buffer.compare(Buffer.from(`${x.join('\0')}\0`), Buffer.from(`${y.join('\0')}\0`)));
      await registry.transact((tx) => {
        for (const key of [...sorted].reverse()) tx.put(key, 1);
      });
      expect(keys([])).toEqual(sorted);
    });

    test('any tree of plain data comes back as it was', async () => {
      const leaf = fc.oneof(
        fc.string(),
        fc.integer(),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
        fc.boolean(),
        fc.constant(null),
        fc.uint8Array({ maxLength: 40, size: 'max' }),
      );
      const name = fc.string().filter((text) => text !== '__proto__');
      const tree = fc.letrec((tie) => ({
        node: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, tie('list'), tie('object')),
        list: fc.array(tie('node'), { maxLength: 5 }),
        object: fc.dictionary(name, tie('node'), { maxKeys: 5, noNullPrototype: true }),
      })).node;
      await fc.assert(
        fc.asyncProperty(tree, fc.string({ minLength: 1, unit: 'grapheme' }), async (value, part) => {
          fc.pre(!part.includes('\0'));
          await put(['any', part], value);
          expect(registry.get(['any', part])).toStrictEqual(value);
          expect(keys(['any', part])).toEqual([['any', part]]);
        }),
        { numRuns: 60 },
      );
    });

    test('nobody shares memory with the store', async () => {
      const bytes = new Uint8Array([1, 2, 3]);
      const value = { bytes, list: ['x'] };
      await put(['a'], value);
      bytes[0] = 9;
      value.list.push('y');
      const first = registry.get<typeof value>(['a'])!;
      first.bytes[1] = 9;
      first.list.push('z');
      await put(['b'], { bytes: new Uint8Array([7, 7, 7]), list: [] });
      registry.get(['b']);
      expect(registry.get(['a'])).toEqual({ bytes: new Uint8Array([1, 2, 3]), list: ['x'] });
      expect(first.bytes).toEqual(new Uint8Array([1, 9, 3]));
    });

    test.each([
      ['a function', { run: () => 1 }, /value\.run is of type function/],
      ['undefined', undefined, /value is of type undefined/],
      ['NaN', [1, Number.NaN], /value\[1\] is NaN/],
      ['a Date', { at: new Date() }, /value\.at is a Date/],
      ['a Map', new Map(), /value is a Map/],
      ['a bigint', 1n, /of type bigint/],
    ])('%s is refused with its place, and nothing is written', async (_, value, message) => {
      await expect(
        registry.transact((tx) => {
          tx.put(['first'], 1);
          tx.put(['second'], value);
        }),
      ).rejects.toThrow(message);
      expect(registry.range([])).toEqual([]);
    });

    test('members that are undefined are left out', async () => {
      await put(['a'], { kept: 1, gone: undefined });
      expect(Object.keys(registry.get<object>(['a'])!)).toEqual(['kept']);
    });

    test('a cycle is refused', async () => {
      const value: unknown[] = [];
      value.push(value);
      await expect(put(['a'], value)).rejects.toThrow(/nested too deeply/);
    });

    test.each([
      ['without parts', []],
      ['with an empty part', ['a', '']],
      ['with a NUL', ['a\0b']],
      ['with half a character', ['\ud800']],
      ['too long', ['x'.repeat(2000)]],
    ])('a key %s is refused', async (_, key) => {
      await expect(put(key, 1)).rejects.toThrow(/registry key/);
      expect(() => registry.get(key)).toThrow(/registry key/);
      expect(registry.revision()).toBe(0);
    });

    test('asynchronous work is refused, and so is a transaction after its end', async () => {
      await expect(registry.transact(async (tx) => tx.put(['a'], 1))).rejects.toThrow(/asynchronous/);
      const escaped = await registry.transact((tx) => tx);
      expect(() => escaped.put(['a'], 1)).toThrow(/after its end/);
      expect(registry.range([])).toEqual([]);
    });

    test('watchers hear of each change under their prefix, in order, before transact resolves', async () => {
      await put(['node', 'b'], 1);
      const heard: Change[] = [];
      const stop = registry.watch(['node'], (change) => heard.push(change));
      const first = registry.transact((tx) => {
        tx.put(['node', 'a'], 1);
        tx.put(['other'], 1);
        tx.put(['node', 'a'], 2);
        tx.delete(['node', 'b']);
        tx.delete(['node', 'absent']);
      });
      const failing = registry.transact((tx) => {
        tx.put(['node', 'never'], 1);
        throw new Error('no');
      });
      const second = put(['node', 'c'], 3);
      await expect(failing).rejects.toThrow('no');
      await first;
      expect(heard.slice(0, 2)).toEqual([
        { type: 'put', key: ['node', 'a'], value: 2, revision: 2 },
        { type: 'delete', key: ['node', 'b'], revision: 2 },
      ]);
      await second;
      expect(heard.slice(2)).toEqual([{ type: 'put', key: ['node', 'c'], value: 3, revision: 3 }]);
      stop();
      await put(['node', 'd'], 4);
      expect(heard).toHaveLength(3);
    });

    test('a watcher reads what it is told of', async () => {
      let read: unknown;
      registry.watch(['a'], () => {
        read = registry.get(['a']);
      });
      await put(['a'], 'new');
      expect(read).toBe('new');
    });

    test('close waits for what was asked before it, and refuses what comes after', async () => {
      const heard: Change[] = [];
      registry.watch([], (change) => heard.push(change));
      const pending = put(['a'], 1);
      await registry.close();
      await pending;
      expect(heard).toHaveLength(1);
      expect(() => registry.get(['a'])).toThrow(/closed/);
      await expect(put(['b'], 1)).rejects.toThrow(/closed/);
    });
  });
}
