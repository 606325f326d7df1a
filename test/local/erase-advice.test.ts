/** That the commands people are told to type are what a shell makes of them. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { eraseCommand, placeOption } from '../../agent/linux/erase-advice.ts';

test.each(['/state', '/var/lib/my state', "/it's here", '/a "b" $HOME `id` \\ ; * ~', '/tätig'])(
  '%s is one word',
  (path) => {
    const words = (text: string) =>
      execFileSync('sh', ['-c', `printf '%s\\n' ${text}`], { encoding: 'utf8' })
        .trimEnd()
        .split('\n');
    const command = eraseCommand('--all', placeOption('state', path));
    expect(words(command)).toEqual(['agent', 'local', 'erase', '--all', '--state', path]);
  },
);

test('what a shell leaves as it is stands without quotes', () => {
  expect(eraseCommand('lab', placeOption('store', 'uboot-env:/dev/vda'))).toBe(
    'agent local erase lab --store uboot-env:/dev/vda',
  );
});
