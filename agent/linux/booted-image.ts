/** Which image a system that is up was booted from. */
import { wordsOf } from '../protocol/words-of.ts';
import { kernelArgument } from './cmdline.ts';
import type { Host } from './host.ts';
import { readText } from './read-text.ts';

const FILE = 'booted.json';

/**
 * What the kernel's command line says; where it says nothing, what the boot pointer named when an agent first looked in this boot: a
 * flash since then is for the next one. That is kept below `state` for agents that are started later in the same boot, where there is
 * room. '' where nobody tells; `pointed`: the image that the boot pointer names now, undefined where the node has none.
 */
export function bootedImageOf(
  host: Host,
  { state, bootId, pointed }: { state: string; bootId: string; pointed: string | undefined },
): string {
  const said = kernelArgument(readText(host, '/proc/cmdline'), 'bootwright.image');
  if (said !== undefined || pointed === undefined) return said ?? '';
  const path = `${state}/${FILE}`;
  const kept = keptIn(host, path);
  if (kept?.bootId === bootId) return kept.image;
  try {
    host.replaceFile(path, new TextEncoder().encode(`${JSON.stringify({ bootId, image: pointed })}\n`));
  } catch (error) {
    // Nothing that this agent does depends on it.
    host.print(`bootwright: ${path}: ${wordsOf(error)}`);
  }
  return pointed;
}

/** Undefined where there is none, or a damaged one: then it is written anew. */
function keptIn(host: Host, path: string): { bootId: string; image: string } | undefined {
  if (!host.exists(path)) return undefined;
  try {
    const { bootId, image } = JSON.parse(readText(host, path)) as Record<string, unknown>;
    return typeof bootId === 'string' && typeof image === 'string' ? { bootId, image } : undefined;
  } catch {
    return undefined;
  }
}
