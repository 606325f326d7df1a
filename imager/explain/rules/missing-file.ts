/** A file that the server does not have. */
import { lastRefusals, pathOf, type Rule, serverWords, toldWords, where } from '../finding.ts';
import type { Transfer } from '../observation.ts';
import { similar } from '../similar.ts';

/** TFTP error 1 (RFC 1350) and HTTP's 404 and 410. */
const GONE: readonly number[] = [1, 404, 410];

export const missingFile: Rule = (story) => {
  const missing = lastRefusals(story).filter(({ code }) => code !== undefined && GONE.includes(code));
  if (missing.length === 0) return undefined;
  const told = story.told.file === undefined ? undefined : pathOf(story.told.file);
  // Loaders probe for a list of names: the one that was asked of them counts, else the last resort.
  const main = missing.find(({ file }) => pathOf(file) === told) ?? missing.at(-1)!;
  const error = main.protocol === 'tftp' ? 'TFTP error 1' : `HTTP status ${main.code}`;
  const loaded = story.boot.filter(
    (each): each is Transfer => each.kind === 'transfer' && each.end === 'done',
  );
  const path = pathOf(main.file);
  const near = similar(path, [...story.knownFiles, ...loaded.map(({ file }) => pathOf(file))]);
  return {
    cause: `missing file: ${serverWords(main)} has no ${main.file} (${error}${main.reason ? `, "${main.reason}"` : ''})`,
    evidence: [
      ...toldWords(story),
      ...missing
        .slice(-8)
        .map((each) => `${each.file} was asked for and is not there: ${where(story, each)}`),
      ...loaded.slice(-4).map((each) => `${each.file} was there: ${where(story, each)}`),
    ],
    advice: [
      ...(story.knownFiles.includes(path) ? ['it is there by now: start the node again'] : []),
      ...(near.length === 0 ? [] : [`there is something like it: ${near.join(', ')}`]),
      `put the file there, or correct the name where it is told (the DHCP server's boot file, the script or the boot pointer)`,
    ],
  };
};
