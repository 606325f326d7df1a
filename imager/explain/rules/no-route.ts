/** The boot file is on a server in another network, and the node was told no way out of its own. */
import { isIn, type Rule, toldWords, where } from '../finding.ts';

export const noRoute: Rule = (story) => {
  const { subnet, router, nextServer, by, address } = story.told;
  if (subnet === undefined || nextServer === undefined || router !== undefined || isIn(subnet, nextServer))
    return undefined;
  if (story.transfers.some(({ end }) => end !== 'unanswered')) return undefined;
  const tried = story.questions.filter(({ target }) => target === nextServer);
  return {
    cause: `no route to the TFTP server: ${nextServer} is not in the node's network ${subnet}, and no router was offered (option 3)`,
    evidence: [
      ...toldWords(story),
      ...(by === undefined
        ? []
        : [`${by.server} gave ${address} in ${subnet} and no router: ${where(story, by)}`]),
      ...tried.map((each) => `the node looked for ${nextServer} on its own link: ${where(story, each)}`),
      ...(story.transfers.length === 0 ? [`no request for the file was seen`] : []),
    ],
    advice: [
      `offer a router (network.router in the imager's configuration), or name a boot server inside ${subnet}`,
    ],
  };
};
