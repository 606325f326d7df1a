/** The lines of `imager node show` about how the node came in, and who was not let in. */
import type { Joined, NodeDetails, RefusalView } from '../model/views.ts';
import { time } from './table.ts';

export function entryFields({
  joined,
  duplicate,
  refusals,
}: Pick<NodeDetails, 'joined' | 'duplicate' | 'refusals'>): (readonly [string, string])[] {
  return [
    ['last join', joined === null ? '-' : joinWords(joined)],
    ...(duplicate === null
      ? []
      : [
          [
            'duplicate',
            `two agents take each other's place since ${time(duplicate.since)}, at ${duplicate.addresses.join(' and ')}, ` +
              `the last time ${time(duplicate.at)}: a copy of its disk or store is at work`,
          ] as const,
        ]),
    ...refusals.map((refusal) => ['refused', refusalWords(refusal)] as const),
  ];
}

const BY: Record<NonNullable<Joined['by']>, string> = {
  key: 'with its key',
  uid: 'without a key, by its UID',
  mac: 'without a key, by its MAC',
  address: 'without a key, by its address alone',
};

const DEFINED: Record<NonNullable<Joined['defined']>, string> = {
  'first-use': 'defined at first use',
  asked: 'defined as was asked for',
  anew: 'defined anew',
};

function joinWords({ at, address, by, deeds, defined }: Joined): string {
  const done = deeds.filter((deed) => defined === null || deed !== 'define');
  const how = defined !== null ? DEFINED[defined] : by === null ? undefined : BY[by];
  return [time(at), `from ${address}`, ...(how === undefined ? [] : [how]), ...done].join(', ');
}

const WHOSE: Record<RefusalView['as'], string> = {
  key: 'itself, with its key, from',
  former: 'what was it once, with a key that is deleted, from',
  claim: 'somebody who said to be it, from',
  mac: 'not known who, with its MAC, from',
  address: 'not known who, from its address',
};

function refusalWords({ at, count, as, address, reason, why }: RefusalView): string {
  const times = count === 1 ? '' : `, ${count} times`;
  return `${time(at)}${times}, ${WHOSE[as]} ${address} (${reason}): ${why}`;
}
