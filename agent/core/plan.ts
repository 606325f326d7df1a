/** What is left to do for a deployment, and how doing it moves the journal on. Pure. */
import type { Plan } from '../protocol/messages.ts';
import { isName } from '../protocol/names.ts';
import type { Journal, Todo } from './state.ts';

/**
 * Everything left from `journal` on, in order, as seen in the boot `bootId`. With a second reboot: reboot,
 * stage 1 without services, reboot, services, stage 2; without: reboot, services, stage 2 (seed 001, figure 11).
 * Services belong to a boot, not to the deployment: they are started in each boot that gets that far.
 */
export function remaining(plan: Plan, journal: Journal, bootId: string): Todo[] {
  const rebooted = journal.bootId !== bootId;
  const scripts = (stage: 1 | 2): Todo[] =>
    plan.scripts
      .filter((script) => script.stage === stage && !journal.done.includes(script.name))
      .map((script) => ({ do: 'script', script }));
  const settle: Todo[] = [{ do: 'services' }, ...scripts(2), { do: 'ready' }];
  switch (journal.phase) {
    case 'installed': {
      const rest: Todo[] = plan.secondReboot
        ? [...scripts(1), { do: 'reboot', number: 2 }, ...settle]
        : settle;
      return rebooted ? rest : [{ do: 'reboot', number: 1 }, ...rest];
    }
    case 'configured':
      return rebooted ? settle : [{ do: 'reboot', number: 2 }, ...settle];
    case 'serving':
    case 'ready':
      return settle;
  }
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
    case 'script':
      return { ...journal, done: [...journal.done, todo.script.name] };
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
    if (!isName(script.name)) faults.push(`script "${script.name}" is not a name`);
    if (names.has(script.name)) faults.push(`script ${script.name} is named twice`);
    names.add(script.name);
    if (script.stage === 1 && !plan.secondReboot)
      faults.push(`script ${script.name} is of stage 1, which needs the second reboot`);
  }
  return faults;
}
