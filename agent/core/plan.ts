/** What is left to do for a deployment, and how doing it moves the journal on. Pure. */
import type { Plan, Script } from '../protocol/messages.ts';
import { isScriptName } from '../protocol/names.ts';
import type { Journal, Todo } from './state.ts';

/**
 * Everything left from `journal` on, in order, as seen in the boot `bootId`. With a second reboot: reboot,
 * stage 1 without services, reboot, services, stage 2; without: reboot, services, stage 2 (seed 001, figure 11).
 * Services belong to a boot, not to the deployment: they are started in each boot that gets that far.
 *
 * A stage is a place in a boot: before its services, or after them. Each boot after the first reboot comes to both, so that
 * what is due of stage 1 in a later one (`always` scripts, and `once` scripts that have failed) runs there before services.
 */
export function remaining(plan: Plan, journal: Journal, bootId: string): Todo[] {
  const rebooted = journal.bootId !== bootId;
  const due = (stage: 1 | 2, done = journal.done): Todo[] =>
    plan.scripts
      .filter((script) => script.stage === stage && (script.run === 'always' || !done.includes(script.name)))
      .map((script) => ({ do: 'script', script }));
  const { adapters = [] } = plan;
  const network: Todo[] = adapters.length === 0 ? [] : [{ do: 'network', adapters }];
  const settle: Todo[] = [{ do: 'services' }, ...due(2), { do: 'ready' }];
  switch (journal.phase) {
    case 'installed': {
      const all = plan.scripts.map(({ name }) => name);
      const rest: Todo[] = plan.secondReboot
        ? [...network, ...due(1), { do: 'reboot', number: 2 }, ...network, ...due(1, all), ...settle]
        : [...network, ...settle];
      return rebooted ? rest : [{ do: 'reboot', number: 1 }, ...rest];
    }
    case 'configured': {
      const rest = [...network, ...due(1), ...settle];
      return rebooted ? rest : [{ do: 'reboot', number: 2 }, ...rest];
    }
    case 'serving':
    case 'ready':
      return [...network, ...due(1), ...settle];
  }
}

/** The journal as it must be on the disk before `script` begins. */
export function begun(journal: Journal, { name }: Script): Journal {
  return { ...journal, running: name };
}

/** The journal as it must be on the disk once `script` has ended. */
export function ended(journal: Journal, { name, run }: Script, well: boolean): Journal {
  const { running: _, ...rest } = journal;
  const without = (names: readonly string[]) => names.filter((each) => each !== name);
  return {
    ...rest,
    done: well && run === 'once' ? [...without(journal.done), name] : journal.done,
    failed: well ? without(journal.failed) : [...without(journal.failed), name],
  };
}

/**
 * The journal as it must be on the disk once `todo` is done in the boot `bootId`; for a reboot, before it begins.
 * The same object where nothing durable comes of it.
 */
export function advance(journal: Journal, todo: Todo, bootId: string): Journal {
  switch (todo.do) {
    case 'reboot':
      return todo.number === 2 && journal.phase === 'installed'
        ? { ...journal, phase: 'configured', bootId }
        : journal;
    case 'network':
      return journal;
    case 'script':
      return ended(journal, todo.script, true);
    case 'services':
      return journal.phase === 'ready' || journal.phase === 'serving'
        ? journal
        : { ...journal, phase: 'serving', bootId };
    case 'ready':
      return journal.phase === 'ready' ? journal : { ...journal, phase: 'ready', bootId };
  }
}

/** Why `plan` cannot be followed, in words; empty where it can. Script names become file names on the disk. */
export function planFaults(plan: Plan, deployment: string): string[] {
  const faults: string[] = [];
  if (plan.deployment !== deployment)
    faults.push(`plan is for deployment ${plan.deployment}, the pointer says ${deployment}`);
  const names = new Set<string>();
  for (const script of plan.scripts) {
    if (!isScriptName(script.name)) faults.push(`script "${script.name}" is not a name`);
    if (names.has(script.name)) faults.push(`script ${script.name} is named twice`);
    names.add(script.name);
    if (script.stage === 1 && !plan.secondReboot)
      faults.push(`script ${script.name} is of stage 1, which needs the second reboot`);
  }
  return faults;
}
