/** `agent efi show|next|order`: which boot option the firmware of a UEFI machine takes. Parses, calls, prints. */
import { type BootOrder, EFIVARS, readBootOrder, setBootNext, setBootOrder } from '../linux/efivars.ts';
import type { Host } from '../linux/host.ts';
import { UsageError } from '../linux/usage-error.ts';
import { bootOptionName } from '../protocol/pointer/efi-variables.ts';
import { jsonText } from './json-text.ts';
import { type Given, JSON_OPTION, type OptionSpec, type Verb } from './verb.ts';

const OPTIONS: readonly OptionSpec[] = [
  { name: 'efivars', value: 'FOLDER', about: `where efivarfs is mounted (default: ${EFIVARS})` },
  JSON_OPTION,
];

export const efiVerbs: readonly Verb[] = [
  {
    name: 'efi show',
    about: 'boot options of UEFI firmware, their order, and the one for the next boot',
    options: OPTIONS,
    examples: ['agent efi show'],
    run: show,
  },
  {
    name: 'efi next',
    about: 'take an option at the next boot, and only then (BootNext)',
    operand: { name: 'OPTION', about: 'number of a boot option, in hexadecimal' },
    options: OPTIONS,
    examples: ['agent efi next 0003'],
    run(host, given, print) {
      setBootNext(host, optionNumber(given.operand!), folderOf(given));
      return show(host, given, print);
    },
  },
  {
    name: 'efi order',
    about: 'try these options, in this order (BootOrder)',
    operand: { name: 'OPTIONS', about: 'numbers of boot options, in hexadecimal, with commas' },
    options: OPTIONS,
    examples: ['agent efi order 0003,0001'],
    run(host, given, print) {
      setBootOrder(host, given.operand!.split(',').map(optionNumber), folderOf(given));
      return show(host, given, print);
    },
  },
];

function show(host: Host, given: Given, print: (text: string) => void): undefined {
  const order = readBootOrder(host, folderOf(given));
  print(given.has('json') ? jsonText(order) : orderText(order));
}

function folderOf(given: Given): string {
  return given.one('efivars') ?? EFIVARS;
}

function optionNumber(text: string): number {
  const digits = /^(?:Boot)?([0-9A-Fa-f]{4})$/.exec(text)?.[1];
  if (digits === undefined) throw new UsageError(`${text}: expected four hexadecimal digits, like 0003`);
  return Number.parseInt(digits, 16);
}

function orderText({ current, next, order, options }: BootOrder): string {
  const name = (number: number | undefined) => (number === undefined ? 'none' : bootOptionName(number));
  return [
    `current ${name(current)}`,
    `next    ${name(next)}`,
    `order   ${order.map(bootOptionName).join(', ') || 'none'}`,
    ...options.map(
      ({ number, active, description }) =>
        // One line each, whatever the firmware calls it.
        `${bootOptionName(number)} ${description.replaceAll('\n', '?')}${active ? '' : ' (off)'}`,
    ),
  ].join('\n');
}
