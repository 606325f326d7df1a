/**
 * What scripts left, in files of their names: a line of JSON that says how they ended (protocol/output.ts), then their output as
 * it came. For a technician at the node, too.
 */
import * as z from 'zod/mini';
import type { OutputStore } from '../ports.ts';
import { OUTPUT_BYTES, type ScriptOutput, scriptEnding } from '../protocol/output.ts';
import type { Host } from './host.ts';
import { STATE_DIRECTORY } from './journal.ts';
import { readText } from './read-text.ts';

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
        const found = read(host, name);
        return found?.deployment === deployment ? [found] : [];
      });
    },
  };
}

/** Undefined where it is not there, cannot be read, or is damaged. */
function read(host: Host, script: string): ScriptOutput | undefined {
  const path = `${OUTPUT_DIRECTORY}/${script}`;
  try {
    if (!host.exists(path)) return undefined;
    const text = readText(host, path);
    const end = text.indexOf('\n');
    const output = text.slice(end + 1);
    // Bytes that are no UTF-8 have become characters of three bytes each: the message has to fit into a frame.
    if (end < 0 || new TextEncoder().encode(output).length > OUTPUT_BYTES) return undefined;
    const ending = z.safeParse(scriptEnding(), JSON.parse(text.slice(0, end)));
    return ending.success ? { script, ...ending.data, output } : undefined;
  } catch {
    return undefined;
  }
}
