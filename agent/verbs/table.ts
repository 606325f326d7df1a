/** The verbs of the agent, the same on both runtimes. `supervise` is a program of its own, with a command line as theirs (supervise.ts). */
import { efiVerbs } from './efi.ts';
import { localVerbs } from './local.ts';
import { pointerVerbs } from './pointer.ts';
import { resourcesVerb } from './resources.ts';
import { uidVerb } from './uid.ts';
import type { Verb } from './verb.ts';

export const VERBS: readonly Verb[] = [uidVerb, resourcesVerb, ...pointerVerbs, ...efiVerbs, ...localVerbs];
