/** A system that is up, for which an agent speaks (`agent supervise`): neither a boot under way nor one that failed. */
import { supervisedWord } from '../../journal/supervised.ts';
import { type Rule, where } from '../finding.ts';

export const supervised: Rule = (story) => {
  const word = supervisedWord(story.agent);
  if (word === undefined) return undefined;
  const since = `supervised since ${time(word.at)}`;
  const joined = story.agent.findLastIndex(({ step }) => step === 'hello');
  const gone = story.agent.findLast(({ leftAt }, index) => index >= joined && leftAt !== undefined)?.leftAt;
  const evidence = [`its agent said that it supervises a system that is up: ${where(story, word)}`];
  if (gone === undefined) return { cause: `its system is up; ${since}`, evidence, advice: [] };
  return {
    cause: `its system was up, ${since}; its agent went away at ${time(gone)} and is not back`,
    evidence,
    advice: [`see whether ${story.who} is on, and start its agent there (agent supervise)`],
  };
};

function time(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
