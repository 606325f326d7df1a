/** Every world that a variant can come to, by breadth-first search; and from each a way on. */
import { keyOf, Model, type Step, type Variant, type World } from './world.ts';

export interface Explored {
  states: number;
  transitions: number;
}

/** Throws with the shortest way to the first world in which something does not hold, or from which nothing leads on. */
export function explore(variant: Variant): Explored {
  const model = new Model(variant);
  const numbers = new Map<string, number>();
  /** How each was come to first. */
  const from: number[] = [];
  const labels: string[] = [];
  /** Of each: those that lead to it without bad luck. */
  const before: number[][] = [];
  const ends: number[] = [];
  let transitions = 0;
  const wayTo = (state: number): string => {
    const way: string[] = [];
    for (let at = state; at > 0; at = from[at]!) way.unshift(labels[at]!);
    return way.join(', ');
  };
  const enter = (world: World, parent: number, label: string): number => {
    const key = keyOf(world);
    let number = numbers.get(key);
    if (number !== undefined) return number;
    number = numbers.size;
    numbers.set(key, number);
    from.push(parent);
    labels.push(label);
    before.push([]);
    queue.push(world);
    if (isEnd(model, world)) ends.push(number);
    return number;
  };
  const queue: World[] = [];
  enter(model.start(), 0, '');
  for (let at = 0; at < queue.length; at++) {
    const world = queue[at]!;
    // What was visited is in `numbers` alone.
    queue[at] = undefined as never;
    let steps: Step[];
    try {
      steps = model.steps(world);
    } catch (error) {
      throw new Error(`${(error as Error).message}: after ${wayTo(at)}`, { cause: error });
    }
    for (const { label, benign, world: to } of steps) {
      transitions++;
      const number = enter(to, at, label);
      if (benign) before[number]!.push(at);
    }
  }
  const stuck = firstStuck(before, ends);
  if (stuck !== undefined) throw new Error(`nothing leads on: after ${wayTo(stuck)}`);
  return { states: numbers.size, transitions };
}

/** What was to be done is done, or the node stays up and may, or has nothing but an image that never works. */
function isEnd({ variant, observer }: Model, world: World): boolean {
  const { node, pointer } = world;
  if (variant.broken === true && pointer.image === 'beta' && pointer.fallback === '') return true;
  if (node.at !== 'agent' || node.queue.length > 0) return false;
  const last = variant.second === undefined || node.boot.pointer?.deployment === 'second';
  return last && (node.state.at === 'ready' || observer.mayStay(world));
}

/** The first of which no end is reached by itself. */
function firstStuck(before: readonly number[][], ends: readonly number[]): number | undefined {
  const leads = new Uint8Array(before.length);
  const open = [...ends];
  for (const end of ends) leads[end] = 1;
  for (let at = open.pop(); at !== undefined; at = open.pop())
    for (const earlier of before[at]!) {
      if (leads[earlier] === 1) continue;
      leads[earlier] = 1;
      open.push(earlier);
    }
  const stuck = leads.indexOf(0);
  return stuck < 0 ? undefined : stuck;
}
