import type { Host } from './host.ts';

/** A file as text in UTF-8, as it is. Throws HostError. */
export function readText(host: Host, path: string): string {
  return new TextDecoder().decode(host.readFile(path));
}
