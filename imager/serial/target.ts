/** The target of a flash for each node of a rack: names with a place for the node's own. Pure. */
import { SerialFailure } from './failure.ts';
import type { Identity } from './progress.ts';
import type { Target } from './work.ts';

/** The disk that several nodes would get; undefined where each gets its own. Two nodes that write to one would ruin it. */
export function sharedDisk({ disks }: Pick<Target, 'disks'>, nodes: number): string | undefined {
  return nodes < 2 ? undefined : disks.find((disk) => !disk.includes('{'));
}

/** Replaces `{node}` by the name that the node with this UID has, and `{uid}` by the UID. Throws SerialFailure `refused`. */
export function targetFor<T extends Partial<Target>>(
  target: T,
  identity: Identity,
  nameOf: (uid: string) => string | undefined,
): T {
  const filled = (text: string): string =>
    text.replaceAll(/\{(\w+)\}/g, (_place, word: string) => {
      if (word !== 'node' && word !== 'uid')
        throw new SerialFailure('refused', `"${text}": there is {node} and {uid}, no {${word}}`);
      if (identity.uid === '')
        throw new SerialFailure('refused', `"${text}": the node does not tell its UID`);
      if (word === 'uid') return identity.uid;
      const name = nameOf(identity.uid);
      if (name === undefined)
        throw new SerialFailure('refused', `"${text}": no node of the configuration has UID ${identity.uid}`);
      return name;
    });
  const { image, disks } = target;
  return {
    ...target,
    ...(image === undefined ? {} : { image: filled(image) }),
    ...(disks === undefined ? {} : { disks: disks.map(filled) }),
  };
}
