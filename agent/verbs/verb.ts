/** What a verb of the agent is: words, options, and what it does. */
import type { Host } from '../linux/host.ts';

export interface OptionSpec {
  /** Without its dashes. */
  name: string;
  /** What its value is, in capitals; without one it is a switch. */
  value?: string;
  about: string;
  required?: true;
}

/** Words and options, and what is said of them. */
export interface CommandLine {
  /** As it is typed: `pointer set`. */
  name: string;
  about: string;
  /** What may stand behind it besides options. */
  operand?: { name: string; about: string; optional?: true };
  options: readonly OptionSpec[];
  /** More for the help, behind the options. */
  notes?: string;
  examples: readonly string[];
  /** Where they are others than the verbs have in common. */
  exitCodes?: readonly (readonly [string, string])[];
}

/** Another one is a file beside this one and an entry in table.ts. */
export interface Verb extends CommandLine {
  /** Gives its exit code where that is not 0. Texts may have several lines. */
  run(host: Host, given: Given, print: (text: string) => void): number | undefined;
}

/** What was typed behind a verb's name, as its options allow. */
export interface Given {
  operand: string | undefined;
  /** The value of an option; the last one where it was given several times. */
  one(option: string): string | undefined;
  /** Of an option that must be there. */
  needed(option: string): string;
  all(option: string): string[];
  has(option: string): boolean;
}

export const JSON_OPTION: OptionSpec = { name: 'json', about: 'print JSON' };
