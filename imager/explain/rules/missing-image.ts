/** The node is to boot an image that the boot table does not have, or none at all. */
import { lastRefusals, type Rule, serverWords, toldWords, where } from '../finding.ts';
import { similar } from '../similar.ts';
import type { Story } from '../story.ts';

/** The imager's own words to a node whose menu it cannot make (menus/menus.ts), to be had from the wire as well. */
const NOT_THERE = /image (\S+) is not in the boot table(?: \((.*)\))?/;
const NONE = /no image to boot: (.*)/;
const OF_IMAGE = /(?:^|\/)images\/([^/]+)\/[^/]+$/;

export const missingImage: Rule = (story) => {
  // Loaders ask under several names: any of them may have been told why.
  for (const refused of lastRefusals(story).reverse()) {
    if (refused.code !== 1 && refused.code !== 404) continue;
    const { file, reason = '' } = refused;
    const evidence = [
      ...toldWords(story),
      `${file} was asked for and is not there: ${where(story, refused)}`,
    ];
    const none = NONE.exec(reason)?.[1];
    if (none !== undefined)
      return {
        cause: `no image to boot: ${none}; so ${serverWords(refused)} has no ${file} for it`,
        evidence,
        advice: [
          `name one in the configuration: boot: { image: ... } at the node, or for all of them`,
          there(story),
        ],
      };
    const [, named, why] = NOT_THERE.exec(reason) ?? [];
    const image = named ?? strangeImage(story, file);
    if (image !== undefined)
      return {
        cause: `missing image: "${image}" is not in the boot table${why === undefined ? '' : ` (${why})`}, so ${serverWords(refused)} has no ${file}`,
        evidence,
        advice: story.images?.includes(image)
          ? [`${image} has been added since: start the node again`]
          : adding(story, image, why),
      };
  }
  return undefined;
};

function adding(story: Story, image: string, why?: string): string[] {
  return [
    `add it: imager image build ${image} --arch ${architectureOf(story)} (Debian's kernel and the agent), or imager image add ${image} with files of your own`,
    `or correct the name where it is told (${why ?? 'the boot file, the script or the boot pointer'})`,
    there(story, image),
  ];
}

/** The image a path is of, where it is known that there is no such image. */
function strangeImage({ images }: Story, file: string): string | undefined {
  const name = OF_IMAGE.exec(file)?.[1];
  return name === undefined || images === undefined || images.includes(name) ? undefined : name;
}

function there({ images }: Story, wanted?: string): string {
  if (images === undefined) return 'imager image list says which images there are';
  if (images.length === 0) return 'the boot table has no images yet';
  const near = wanted === undefined ? [] : similar(wanted, images);
  if (near.length > 0) return `there is something like it: ${near.join(', ')}`;
  return `there is: ${images.slice(0, 8).join(', ')}`;
}

function architectureOf({ architecture }: Story): string {
  if (architecture?.name.endsWith('arm64')) return 'arm64';
  return architecture?.kind === 'bios' || architecture?.name.endsWith('x64') ? 'amd64' : 'ARCH';
}
