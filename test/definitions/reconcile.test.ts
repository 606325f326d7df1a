/** Who may join (seed 002, figure 11), as a table of every combination. */
import { describe, expect, test } from 'vitest';
import type { LocalDefinition } from '../../agent/protocol/membership.ts';
import type { GlobalDefinition } from '../../imager/definitions/definition.ts';
import { type Facts, judge, reconcile } from '../../imager/definitions/reconcile.ts';

const ID = '00000000-0000-4000-8000-000000000001';
const CLUSTER = '00000000-0000-4000-8000-0000000000c1';
const local: LocalDefinition = { id: ID, cluster: CLUSTER, number: 1, name: 'n1', uid: 'serial:a' };
const global: GlobalDefinition = {
  ...{ id: ID, number: 1, name: 'n1', uid: 'serial:a', address: '10.0.0.1', at: 0 },
  key: new Uint8Array(32),
  state: 'defined',
};
/** Scenario 1; each row changes something. */
const facts: Facts = {
  ...{ name: 'n1', original: 'serial:a', local, keeps: true, identity: ID, global },
  ...{ moved: false, other: undefined, enrolment: 'first', standing: undefined },
};
const stranger: Facts = { ...facts, local: null, identity: undefined, global: undefined };
const keyless: GlobalDefinition = { ...global, key: null };

describe('the four scenarios, in all ways three copies can agree and differ', () => {
  test.each([
    ['a', 'a', 'a', 'join', 'scenario 1'],
    ['b', 'a', 'a', 'correct', 'scenario 3: the hardware was replaced'],
    ['a', 'a', 'b', 'erase', 'scenario 2'],
    ['a', 'a', undefined, 'erase', 'scenario 2: deleted while away'],
    ['b', 'a', 'b', 'erase', 'scenario 4, though original and global agree'],
    ['b', 'a', 'c', 'erase', 'scenario 4'],
    ['b', 'a', undefined, 'erase', 'scenario 4: deleted and replaced'],
  ] as const)('original %s, local %s, global %s: %s (%s)', (original, kept, there, verdict, _scenario) => {
    expect(reconcile(original, kept, there)).toBe(verdict);
    const uid = (name: string) => `serial:${name}`;
    expect(
      judge({
        ...facts,
        original: uid(original),
        local: { ...local, uid: uid(kept) },
        global: there && { ...global, uid: uid(there) },
      }),
    ).toEqual({ do: verdict });
  });
});

describe('a node with a copy', () => {
  const correcting: GlobalDefinition = { ...global, correcting: 'serial:b' };
  const at = (uid: string) => ({ ...local, uid });
  test.each<[string, Partial<Facts>, object]>([
    ['without the key nothing is believed', { identity: undefined }, { do: 'refuse', reason: 'identity' }],
    ['nor with the key of another', { identity: 'another' }, { do: 'refuse', reason: 'identity' }],
    [
      'nor that its hardware was replaced',
      { identity: undefined, original: 'serial:b' },
      { do: 'refuse', reason: 'identity' },
    ],
    ['deleted, to be told', { global: { ...global, state: 'undefining' } }, { do: 'erase' }],
    ['its answer to the commit was lost', { global: { ...global, state: 'defining' } }, { do: 'finish' }],
    ['its number is another', { global: { ...global, number: 2 } }, { do: 'erase' }],
    [
      'corrected, answer lost',
      { global: correcting, local: at('serial:b'), original: 'serial:b' },
      { do: 'settle', uid: 'serial:b' },
    ],
    ['correction lost', { global: correcting, original: 'serial:b' }, { do: 'correct' }],
    ['correction lost, old hardware back', { global: correcting }, { do: 'settle', uid: 'serial:a' }],
    ['correction lost, replaced again', { global: correcting, original: 'serial:c' }, { do: 'correct' }],
    [
      'corrected, replaced again',
      { global: correcting, local: at('serial:b'), original: 'serial:c' },
      { do: 'settle', uid: 'serial:b' },
    ],
    ['corrected to neither', { global: correcting, local: at('serial:c') }, { do: 'erase' }],
    [
      'replaced by the hardware of another',
      { original: 'serial:b', other: 'n2' },
      { do: 'refuse', reason: 'uid-of-other' },
    ],
  ])('%s', (_, changes, verdict) => {
    expect(judge({ ...facts, ...changes })).toMatchObject(verdict);
  });
});

describe('a node without a copy', () => {
  test('is told what to do about its key, by whether it can keep one', () => {
    const told = (keeps: boolean, disk?: string) => {
      const verdict = judge({
        ...stranger,
        global: disk === undefined ? global : { ...global, disk },
        keeps,
      });
      expect(verdict).toMatchObject({ do: 'refuse', reason: 'no-key' });
      return 'why' in verdict ? verdict.why : '';
    };
    const remedy = ' imager node undefine n1 and define n1 give it another';
    expect(told(true)).toBe(
      'is defined, and who came does not have its key: somebody else, or it lost its store; ' +
        `only where you know that it did,${remedy}`,
    );
    expect(told(false)).toBe(
      'is defined with a key that it has nowhere to keep at boot: end agent supervise on it, if that was it, ' +
        `then${remedy}`,
    );
    expect(told(false, 'n1-root')).toBe(
      'is defined with a key on its disk n1-root, which it could not mount or read (its console tells why). ' +
        `Where that is lost:${remedy}`,
    );
  });

  test('is told how it is defined, by its own name', () => {
    expect(judge({ ...stranger, name: 'n7', enrolment: 'asked' })).toMatchObject({
      why: 'is not defined to the cluster: imager node define n7 does that',
    });
  });

  test('is told both UIDs first, where the one it gave is not that of the definition', () => {
    const why = (changes: Partial<Facts>) => {
      const verdict = judge({ ...stranger, global, ...changes });
      return verdict.do === 'refuse' ? verdict.why : '';
    };
    const uids = 'is defined with UID serial:a, and who came gave UID serial:typo: look at that first';
    for (const keeps of [true, false])
      expect(why({ original: 'serial:typo', keeps }).startsWith(uids)).toBe(true);
    for (const changes of [{}, { original: 'serial:b', global: { ...global, correcting: 'serial:b' } }])
      expect(why(changes)).toMatch(/^is defined, and who came does not/);
  });

  test.each(['first', 'always', 'asked'] as const)(
    'that uses the key of one is no stranger: %s',
    (enrolment) => {
      for (const changes of [{}, { global }, { global: keyless }, { standing: 'wanted' as const }])
        expect(judge({ ...stranger, ...changes, enrolment, identity: ID })).toMatchObject({
          do: 'refuse',
          reason: 'identity',
        });
    },
  );

  const row = (enrolment: Facts['enrolment'], changes: Partial<Facts>) =>
    judge({ ...stranger, enrolment, ...changes });
  /** What comes of it: why it is refused, how it is defined, or that it joins. */
  const word = (verdict: ReturnType<typeof judge>) =>
    verdict.do === 'refuse' ? verdict.reason : verdict.do === 'define' ? verdict.as : verdict.do;
  test.each<[string, Partial<Facts>, [first: string, always: string, asked: string]]>([
    ['unheard of', {}, ['first-use', 'first-use', 'not-defined']],
    ['wanted', { standing: 'wanted' }, ['asked', 'asked', 'asked']],
    ['undefined by the operator', { standing: 'closed' }, ['not-defined', 'not-defined', 'not-defined']],
    [
      'its define was cut short',
      { global: { ...global, state: 'defining' } },
      ['first-use', 'first-use', 'not-defined'],
    ],
    ['has lost its key', { global }, ['no-key', 'anew', 'no-key']],
    ['was flashed to another disk than its key is on', { global, moved: true }, ['anew', 'anew', 'anew']],
    ['the same, and cannot mount it', { global, moved: true, keeps: false }, ['no-key', 'no-key', 'no-key']],
    [
      'the same, with the UID of another',
      { global, moved: true, other: 'n2' },
      ['uid-of-other', 'uid-of-other', 'uid-of-other'],
    ],
    ['has lost its key, and where to keep one', { global, keeps: false }, ['no-key', 'no-key', 'no-key']],
    ['never had one', { global: keyless, keeps: false }, ['join', 'join', 'join']],
    ['never had one, and can keep one now', { global: keyless }, ['anew', 'anew', 'anew']],
    [
      'never had one, on other hardware',
      { global: keyless, keeps: false, original: 'serial:b' },
      ['other-uid', 'anew', 'other-uid'],
    ],
    ['with the UID of another', { other: 'n2' }, ['uid-of-other', 'uid-of-other', 'uid-of-other']],
    [
      'with the UID of another, having lost its key',
      { other: 'n2', global },
      ['no-key', 'uid-of-other', 'no-key'],
    ],
  ])('%s', (_, changes, [first, always, asked]) => {
    expect([row('first', changes), row('always', changes), row('asked', changes)].map(word)).toEqual([
      first,
      always,
      asked,
    ]);
  });
});
