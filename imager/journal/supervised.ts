/** Whether an agent speaks for a system that is up, and not for a boot. Pure. */

/** What an agent said, oldest first. */
interface Word {
  step: string;
  detail?: Record<string, string | number | boolean>;
}

/** Steps after which it does so no more: the system goes down, or the agent is not let in. */
const OVER: readonly string[] = ['reboot', 'retry', 'fall-back', 'failed', 'refused'];

/**
 * The word with which the last `agent supervise` began, where nothing was heard since that ends it: such a step, or a hello of
 * another boot. Undefined where there is none. An agent that is started anew begins anew; the node has not booted.
 */
export function supervisedWord<T extends Word>(words: readonly T[]): T | undefined {
  const last = words.findLastIndex(({ step }) => step === 'supervise');
  const boot = bootOf(words.slice(0, last + 1).findLast(isHello));
  const isOver = words
    .slice(last + 1)
    .some(
      (word) => OVER.includes(word.step) || (boot !== undefined && isHello(word) && bootOf(word) !== boot),
    );
  return isOver ? undefined : words[last];
}

function isHello({ step }: Word): boolean {
  return step === 'hello';
}

function bootOf(word: Word | undefined): unknown {
  return word?.detail?.bootId;
}
