/** Options that serial verbs share. */
import { InvalidArgumentError, Option } from 'commander';

export function baudOption(): Option {
  return new Option('--baud <rate>', 'bits a second').argParser(positive).default(115_200);
}

/** For options that are repeated. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** Throws InvalidArgumentError for what is no number above 0. */
export function positive(value: string): number {
  const number = Number(value);
  if (!Number.isFinite(number) || number <= 0) throw new InvalidArgumentError('expected a number above 0.');
  return number;
}
