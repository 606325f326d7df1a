/**
 * Async calls and generators that are ended, left waiting for ever or dropped half-way, in an order that its argument
 * decides, while closures over their variables live on. Says whether each closure still has its value, and how
 * much memory (kB) that took after a third of the rounds and at the end.
 */
import { start } from '../../../../agent/quickjs/start.ts';

interface Value {
  text: string;
  self?: Value;
}
interface Kept {
  text: string;
  read: () => string;
  write: () => void;
}

const kept: Kept[] = [];
const resumes: (() => void)[] = [];

function value(text: string): Value {
  const made: Value = { text };
  made.self = made;
  return made;
}

function keep(text: string, read: () => string, write: () => void): void {
  kept.push({ text, read, write });
}

/** Never resolved, or by whoever draws its turn. */
function waiting(ever: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (ever) resumes.push(resolve);
  });
}

async function variable(text: string, ever: boolean): Promise<string> {
  let own = value(text);
  const promise = waiting(ever);
  keep(
    text,
    () => own.text,
    () => {
      own = value(text);
    },
  );
  await promise;
  return own.text;
}

async function parameter(own: Value, ever: boolean): Promise<void> {
  keep(
    own.text,
    () => own.text,
    () => {
      own = value(own.text);
    },
  );
  await waiting(ever);
  throw new Error(own.text);
}

async function loop(text: string, ever: boolean): Promise<void> {
  for (let n = 0; n < 3; n++) {
    const own = value(`${text} ${n}`);
    const inner = (): string => own.text;
    keep(
      own.text,
      () => inner(),
      () => {
        own.self = value(own.text);
      },
    );
    await waiting(ever);
  }
}

async function nested(text: string, ever: boolean): Promise<void> {
  const own = value(text);
  const inner = async (): Promise<string> => {
    keep(
      text,
      () => own.text,
      () => void inner,
    );
    await waiting(ever);
    return own.text;
  };
  await Promise.race([inner(), waiting(ever), variable(text, ever)]);
}

function* generator(text: string): Generator<number> {
  const own = value(text);
  keep(
    text,
    () => own.text,
    () => void own.self,
  );
  yield 1;
  yield own.text.length;
}

/** Numerical Recipes' generator: the same on every machine. */
function draws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

start(async (host, [seed = '1', rounds = '3000']) => {
  const draw = draws(Number(seed));
  const resident = (): string =>
    /VmRSS:\s+(\d+) kB/.exec(new TextDecoder().decode(host.readFile('/proc/self/status')))?.[1] ?? '?';
  let early = '';
  for (let n = 0; n < Number(rounds); n++) {
    const ever = draw(3) === 0;
    const text = `value ${n}`;
    switch (draw(5)) {
      case 0:
        void variable(text, ever);
        break;
      case 1:
        void parameter(value(text), ever).catch(() => undefined);
        break;
      case 2:
        void loop(text, ever);
        break;
      case 3:
        void nested(text, ever);
        break;
      case 4:
        generator(text).next();
        break;
    }
    if (draw(2) === 0) await Promise.resolve();
    if (resumes.length > 0 && draw(3) === 0) resumes.splice(draw(resumes.length), 1)[0]!();
    while (resumes.length > 40) resumes.splice(draw(resumes.length), 1);
    for (let again = draw(4); again > 0 && kept.length > 0; again--) kept[draw(kept.length)]!.write();
    while (kept.length > 100) {
      const [{ text: expected, read }] = kept.splice(draw(kept.length), 1) as [Kept];
      const found = read();
      if (found !== expected) throw new Error(`${found} where ${expected} should be`);
    }
    if (n === Math.floor(Number(rounds) / 3)) early = resident();
  }
  host.print(`kept, ${early} ${resident()}`);
});
