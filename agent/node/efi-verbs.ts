/** `agent efi show|next|order`: which boot option the firmware of a UEFI machine takes. Parses, calls, prints. */
import { type Command, InvalidArgumentError } from 'commander';
import { type BootOrder, EFIVARS, readBootOrder, setBootNext, setBootOrder } from '../linux/efivars.ts';
import type { Host } from '../linux/host.ts';
import { bootOptionName } from '../protocol/pointer/efi-variables.ts';
import { jsonText } from './json-text.ts';

interface EfiOptions {
  efivars: string;
  json?: boolean;
}

export function addEfiVerbs(program: Command, host: Host, print: (text: string) => void): void {
  const efi = program
    .command('efi')
    .description('boot options of UEFI firmware (BootNext, BootOrder)')
    .addHelpText('after', '\nExample:\n  agent efi show');
  const verb = (name: string, description: string, example: string) =>
    efi
      .command(name)
      .description(description)
      .option('--efivars <folder>', 'where efivarfs is mounted', EFIVARS)
      .option('--json', 'print JSON')
      .addHelpText('after', `\nExample:\n  ${example}`);
  const show = ({ efivars, json }: EfiOptions) => {
    const order = readBootOrder(host, efivars);
    print(json ? jsonText(order) : orderText(order));
  };

  verb('show', 'the options, their order, and the one for the next boot', 'agent efi show').action(show);
  verb('next', 'take an option at the next boot, and only then', 'agent efi next 0003')
    .argument('<option>', 'number of a boot option, in hexadecimal', optionNumber)
    .action((number: number, options: EfiOptions) => {
      setBootNext(host, number, options.efivars);
      show(options);
    });
  verb('order', 'try these options, in this order', 'agent efi order 0003,0001')
    .argument('<options>', 'numbers of boot options, in hexadecimal, with commas', (text: string) =>
      text.split(',').map(optionNumber),
    )
    .action((numbers: number[], options: EfiOptions) => {
      setBootOrder(host, numbers, options.efivars);
      show(options);
    });
}

function optionNumber(text: string): number {
  const digits = /^(?:Boot)?([0-9A-Fa-f]{4})$/.exec(text)?.[1];
  if (digits === undefined) throw new InvalidArgumentError('expected four hexadecimal digits, like 0003.');
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
