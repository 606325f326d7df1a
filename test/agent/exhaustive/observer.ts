/**
 * What must hold in every world of the model (world.ts), said without the code that is looked at: an account of what a node has
 * done and what of that is durable, and the checks at each thing it does. Each check is a sentence of the double reboot.
 */
import type { Effect, Journal } from '../../../agent/core/state.ts';
import type { Script } from '../../../agent/protocol/messages.ts';
import { type BootPointer, FRESH_ATTEMPTS } from '../../../agent/protocol/pointer/record.ts';
import { DISK_FULL, type ModelScript, type Variant, type World } from './world.ts';

export class Violation extends Error {}

/** When something came to be: not yet, in this boot, in an earlier one. */
type When = 'no' | 'now' | 'then';

export interface Account {
  /** Of the deployment that was booted last; what is below is about that one. */
  deployment: string;
  /** How the last run of a script ended, where that is durable. */
  ended: Record<string, 'well' | 'badly'>;
  /** A run that has ended, and whose end is not durable. */
  pending: { name: string; how: 'well' | 'badly' } | null;
  running: string | null;
  /** The script that the power was cut in, or before its end was durable, until a boot has told of it. */
  interrupted: string | null;
  installed: When;
  /** Stage 1 was gone through, from its first script to its last. */
  configured: When;
  /** Planned restarts. */
  restarts: number;
  /** Boots of an image that has something to fall back to, since it last made progress. */
  tries: number;
  /** The fallback image was promised: the pointer says so. */
  givenUp: boolean;
  /** In this boot: scripts that have ended, services, the last word about a restart. */
  ran: string[];
  up: boolean;
  word: '' | 'reboot' | 'retry' | 'fall-back';
  /** A script has failed that must not: nothing more is done. */
  stopped: boolean;
  /** Of a script that has failed in this boot, where that could not be made durable: what is to come of it. */
  unnoted: Script['onFailure'];
}

const PHASES = ['installed', 'configured', 'serving', 'ready'];
const FRESH: Account = {
  ...{ deployment: 'first', ended: {}, pending: null, running: null, interrupted: null },
  ...{ installed: 'no', configured: 'no', restarts: 0, tries: 0, givenUp: false },
  ...{ ran: [], up: false, word: '', stopped: false, unnoted: 'continue' },
};

export class Observer {
  readonly #variant: Variant;

  constructor(variant: Variant) {
    this.#variant = variant;
  }

  start(): Account {
    return FRESH;
  }

  /** A kernel starts. */
  boots(account: Account, { pointer, node }: World): Account {
    const begun =
      account.deployment === pointer.deployment ? account : { ...FRESH, deployment: pointer.deployment };
    const image = node.at === 'loading' ? node.image : '';
    const own = image === pointer.image;
    check(
      own || image === pointer.fallback,
      `booted ${image}, which is neither the new nor the last good image`,
    );
    check(own || pointer.phase === 'deploy', 'fell back from an image that was ready');
    check(!begun.givenUp || !own || pointer.fallback === image, 'booted an image that was given up');
    const onTrial =
      own && pointer.phase === 'deploy' && pointer.fallback !== '' && this.#variant.uncounted !== true;
    const tries = onTrial && pointer.fallback !== image ? begun.tries + 1 : begun.tries;
    check(tries <= FRESH_ATTEMPTS, 'an image that makes no progress was booted once more');
    return this.#settled({ ...begun, tries });
  }

  /** The disk has become `after`. */
  stored(account: Account, before: { journal?: Journal }, after: { journal?: Journal }): Account {
    const [old, now] = [before.journal, after.journal];
    const same = old?.deployment === now?.deployment;
    if (now !== undefined && same) {
      check(
        PHASES.indexOf(now.phase) >= PHASES.indexOf(old!.phase),
        `phase ${now.phase} after ${old!.phase}`,
      );
      check(
        old!.done.every((name) => now.done.includes(name)),
        'a script that was done is not done any more',
      );
    }
    const fresh = now !== undefined && !same;
    if (fresh) check(now.phase === 'installed' && now.done.length === 0, 'a deployment begins in its middle');
    const { pending } = account;
    const ended = pending === null ? account.ended : { ...account.ended, [pending.name]: pending.how };
    return this.#settled({
      ...account,
      ended,
      pending: null,
      ...(fresh ? { installed: 'now' as const } : {}),
    });
  }

  scriptBegins(account: Account, name: string, { disk }: World): Account {
    const script = this.#variant.scripts.find((each) => each.name === name)!;
    check(!this.isChanged(account, name), `${name} runs, which is not what was installed`);
    check(account.installed === 'then', `${name} runs before the first reboot`);
    check(!account.stopped, `${name} runs after a failure that stops`);
    check(account.pending === null, `${name} begins before it is durable how ${account.pending?.name} ended`);
    check(script.run === 'always' || account.ended[name] !== 'well', `${name} runs again`);
    check(disk.journal?.running === name, `nobody will know that ${name} ran`);
    check(
      account.up === (script.stage === 2),
      `${name} of stage ${script.stage} with services ${account.up ? 'up' : 'down'}`,
    );
    for (const earlier of this.#stage(script.stage)) {
      if (earlier === script) break;
      check(isSettled(account, earlier), `${name} runs before ${earlier.name}`);
    }
    this.#interruptedIsTold(account);
    return { ...account, running: name };
  }

  scriptEnded(account: Account, name: string, well: boolean): Account {
    const pending = { name, how: well ? ('well' as const) : ('badly' as const) };
    return { ...account, running: null, pending, ran: [...account.ran, name] };
  }

  services(account: Account): Account {
    check(!account.up && !account.stopped, 'services start again, or after a failure that stops');
    check(account.installed === 'then', 'services start before the first reboot');
    if (this.#variant.secondReboot)
      check(account.configured === 'then', 'services start before the second reboot');
    for (const script of this.#stage(1))
      check(isSettled(account, script), `services start before ${script.name}`);
    this.#interruptedIsTold(account);
    return { ...account, up: true };
  }

  /** A word to console and imager. */
  reported(account: Account, { step, detail }: Extract<Effect, { do: 'report' }>, world: World): Account {
    const name = String(detail.script);
    switch (step) {
      case 'stage1':
      case 'stage2':
        check(account.ended[name] === 'well', `${name} is told to have ended well before that is durable`);
        return account;
      case 'script-failed': {
        check(account.ended[name] === 'badly', `${name} is told to have failed before that is durable`);
        return { ...account, stopped: this.#policyOf(name) !== 'continue' };
      }
      case 'cut-short':
        check(!this.isChanged(account, name), `${name} is told to have been cut short, and never began`);
        return name === account.interrupted ? { ...account, interrupted: null } : account;
      case 'reboot':
      case 'retry':
        return { ...account, word: step };
      case 'fall-back':
        check(
          world.flashed && (world.pointer.attempts === 0 || world.pointer.deployment !== account.deployment),
          'the firmware was not told to fall back',
        );
        return { ...account, word: step };
      case 'ready': {
        check(account.up && !account.stopped, 'ready without services, or after a failure that stops');
        check(world.disk.journal?.phase === 'ready', 'ready before that is durable');
        for (const script of this.#variant.scripts)
          check(isSettled(account, script), `ready before ${script.name}`);
        const bad = Object.keys(account.ended).filter((each) => account.ended[each] === 'badly');
        check(
          bad.sort().join() ===
            String(detail.failed ?? '')
              .split(',')
              .sort()
              .join(),
          'ready says too little or too much of failures',
        );
        return account;
      }
      default:
        return account;
    }
  }

  /** The node writes its pointer. */
  pointed(account: Account, pointer: BootPointer, world: World): Account {
    const { pointer: old, disk, node } = world;
    const booted = node.at === 'agent' ? node.boot.bootedImage : '';
    check(
      pointer.image === old.image && pointer.deployment === old.deployment,
      'the pointer names something else',
    );
    check(pointer.attempts <= FRESH_ATTEMPTS, 'too many attempts');
    if (pointer.phase === 'ready')
      check(
        disk.journal?.phase === 'ready' && booted === pointer.image,
        'an image is called ready that is not',
      );
    check(
      pointer.fallback === (pointer.phase === 'ready' ? booted : old.fallback),
      'the fallback is no good image',
    );
    const renewed = pointer.attempts === FRESH_ATTEMPTS;
    return {
      ...account,
      tries: renewed ? 0 : account.tries,
      givenUp: pointer.attempts === 0 && pointer.phase === 'deploy',
    };
  }

  restarts(account: Account, { pointer, node }: World): Account {
    check(account.word !== '', 'restarts without a word');
    check(account.pending === null, `restarts before it is durable how ${account.pending?.name} ended`);
    const last = node.at === 'agent' ? node.boot.pointer! : pointer;
    const elsewhere = last.fallback !== '' && last.fallback !== last.image && last.phase === 'deploy';
    if (account.unnoted === 'fall-back' && elsewhere && node.at === 'agent')
      check(
        account.word === 'fall-back' || node.boot.bootedImage !== last.image,
        'falls back no more, as that could not be noted',
      );
    if (account.word !== 'reboot') return account;
    check(!account.stopped, 'goes on after a failure that stops');
    const own = node.at === 'agent' && node.boot.bootedImage === pointer.image;
    if (own && pointer.deployment === account.deployment && pointer.phase === 'deploy')
      check(pointer.attempts === FRESH_ATTEMPTS, 'boots that made progress are held against their image');
    const restarts = account.restarts + 1;
    check(restarts <= (this.#variant.secondReboot ? 2 : 1), 'one reboot too many');
    return { ...account, restarts };
  }

  /** What was to be durable never will be from this boot; what a script did is as if it had been cut short. */
  writeFailed(account: Account): Account {
    const { pending, interrupted } = account;
    const unnoted = pending?.how === 'badly' ? this.#policyOf(pending.name)! : 'continue';
    return {
      ...{ ...account, unnoted, pending: null, interrupted: pending?.name ?? interrupted },
      stopped: account.stopped || unnoted !== 'continue',
    };
  }

  cut(account: Account): Account {
    const interrupted = account.running ?? account.pending?.name ?? account.interrupted;
    return { ...account, interrupted };
  }

  /** A boot is over. */
  off(account: Account): Account {
    const then = (when: When): When => (when === 'no' ? 'no' : 'then');
    return {
      ...{ ...account, installed: then(account.installed), configured: then(account.configured) },
      ...{
        running: null,
        pending: null,
        ran: [],
        up: false,
        word: '',
        stopped: false,
        unnoted: 'continue',
      },
    };
  }

  /** A node may stay up for investigation. */
  mayStay({ node, account }: World): boolean {
    if (node.at !== 'agent' || node.state.at !== 'failed') return false;
    // A disk that takes no more words: the script's own come first.
    const [why = '', full] = node.state.why.split('; ');
    const policy = this.#policyOf(why);
    check(full === undefined || policy !== undefined, `${node.state.why}: nobody is told of which script`);
    // Services are up and all has run: that alone is no reason to restart.
    if (account.up && why === DISK_FULL && account.unnoted === 'continue') return true;
    const { pointer, bootedImage } = node.boot;
    const { phase, fallback, image, attempts } = pointer!;
    const elsewhere =
      phase === 'deploy' &&
      bootedImage === image &&
      fallback !== '' &&
      this.#variant.uncounted !== true &&
      (fallback !== image || attempts > 0);
    return policy === 'stop' || !elsewhere;
  }

  /** Whether the file of a script is not what was installed. */
  isChanged({ deployment }: Account, script: string): boolean {
    const { fails } = this.#variant.scripts.find(({ name }) => name === script)!;
    return fails === 'changed' && deployment === 'second';
  }

  #policyOf(script: string): Script['onFailure'] | undefined {
    return this.#variant.scripts.find(({ name }) => name === script)?.onFailure;
  }

  #stage(stage: 1 | 2): ModelScript[] {
    return this.#variant.scripts.filter((script) => script.stage === stage);
  }

  #settled(account: Account): Account {
    const { installed, configured, up } = account;
    const through =
      installed === 'then' && !up && this.#stage(1).every((script) => isSettled(account, script));
    return configured === 'no' && through && account.pending === null
      ? { ...account, configured: 'now' }
      : account;
  }

  #interruptedIsTold({ interrupted }: Account): void {
    check(interrupted === null, `nobody is told that ${interrupted} was cut short`);
  }
}

/** Its turn in this boot is over: it ran, or need never run again. */
function isSettled({ ended, ran }: Account, { name, run }: ModelScript): boolean {
  return ran.includes(name) || (run === 'once' && ended[name] === 'well');
}

function check(holds: boolean, sentence: string): void {
  if (!holds) throw new Violation(sentence);
}
