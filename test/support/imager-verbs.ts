/** The imager's verbs as a user calls them: what they print where, and their exit codes. */
import { execFile } from 'node:child_process';
import { bundle } from './inside.ts';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

let program: Promise<string> | undefined;

/** The command line as a program for Node, made at the first call of a process. */
export function imagerProgram(): Promise<string> {
  program ??= bundle('imager/cli/main.ts');
  return program;
}

/** Runs a verb to its end. */
export async function runVerb(
  args: readonly string[],
  where: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Ended> {
  const words = [await imagerProgram(), ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, words, where, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}
