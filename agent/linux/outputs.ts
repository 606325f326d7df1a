/**
 * What scripts left, in files of their names: a line of JSON that says how they ended (protocol/output.ts), then their output as
 * it came. For a technician at the node, too.
 */
import * as z from 'zod/mini';
import type { OutputStore } from '../ports.ts';
import { OUTPUT_BYTES, type ScriptOutput, scriptEnding } from '../protocol/output.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';

const OUTPUT_DIRECTORY = `${STATE_DIRECTORY}/output`;

export function openOutputs(host: Host): OutputStore {
  return {
    keep({ script, output, ...ending }) {
      host.makeDirectory(OUTPUT_DIRECTORY);
      const text = `${JSON.stringify(ending)}\n${output}`;
      host.replaceFile(`${OUTPUT_DIRECTORY}/${script}`, new TextEncoder().encode(text), 0o600);
    },
    kept({ deployment, scripts }) {
      return scripts.flatMap(({ name }) => {
        const path = `${OUTPUT_DIRECTORY}/${name}`;
        const found = host.exists(path)
          ? parse(name, new TextDecoder().decode(host.readFile(path)))
          : undefined;
        return found?.deployment === deployment ? [found] : [];
      });
    },
  };
}

/** Undefined where it is damaged. Pure. */
function parse(script: string, text: string): ScriptOutput | undefined {
  const end = text.indexOf('\n');
  const output = text.slice(end + 1);
  if (end < 0 || output.length > OUTPUT_BYTES) return undefined;
  try {
    const ending = z.safeParse(scriptEnding(), JSON.parse(text.slice(0, end)));
    return ending.success ? { script, ...ending.data, output } : undefined;
  } catch {
    return undefined;
  }
}
