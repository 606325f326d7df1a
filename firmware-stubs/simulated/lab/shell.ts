/**
 * What a user-configuration script does on a simulated node. There is no shell: of a script these lines count, and all others
 * take no time and do nothing. Enough for how long a script takes, how it ends, and what it says.
 *
 *     sleep SECONDS
 *     echo TEXT > /dev/console        (or >&2, or without; what does not go to the console is the script's output)
 *     exit CODE
 *     [ "$BOOTWRIGHT_IMAGE" = NAME ] || exit CODE
 */

export type ScriptAct =
  | { do: 'sleep'; milliseconds: number }
  | { do: 'say'; text: string; console: boolean }
  /** `unless`: where another image than this one has been booted. */
  | { do: 'exit'; code: number; unless?: string };

/** The lines of `content` that count, in order. Several commands of one line are parted by ";" or "&&". */
export function scriptActs(content: string): ScriptAct[] {
  return content
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(/;|&&/))
    .flatMap((command) => actOf(command.trim()));
}

function actOf(command: string): ScriptAct[] {
  const [, seconds] = /^sleep (\d+(?:\.\d+)?)$/.exec(command) ?? [];
  if (seconds !== undefined) return [{ do: 'sleep', milliseconds: Number(seconds) * 1000 }];
  const [, unless, code] =
    /^(?:\[ "\$BOOTWRIGHT_IMAGE" = ([a-z0-9._-]+) \] \|\| )?exit (\d{1,3})$/.exec(command) ?? [];
  if (code !== undefined)
    return [{ do: 'exit', code: Number(code) & 0xff, ...(unless === undefined ? {} : { unless }) }];
  const [, text, target = ''] = /^echo ([^<>|]*?)\s*(?:>\s*(\/dev\/console|&2))?$/.exec(command) ?? [];
  if (text === undefined) return [];
  return [{ do: 'say', text: text.replace(/^(["'])(.*)\1$/, '$2'), console: target === '/dev/console' }];
}
