/** U-Boot's console as a program reads and types on it: echo checked before Enter, exit codes after. Pure. */
import { SerialFailure } from './failure.ts';
import { type Task, wait } from './task.ts';

/** Ctrl-C: stops autoboot as any key does, and at a prompt does nothing but show it again. */
export const INTERRUPT = '\x03';
/** `=> `, `U-Boot> `, `Zynq> `: what boards have in common. Whether it is U-Boot's is asked before anything else. */
export const PROMPT = /(?:^|[\r\n])[^\r\n<]{0,32}> $/;
export const AUTOBOOT = /Hit any key to stop autoboot/;
/** The stub of firmware-stubs/uboot waits for Ctrl-C, and for one more: no other key lets anybody in. */
export const LISTENS = /bootwright: firmware listen [\d.]* s for Ctrl-C/;
export const BANNER = /U-Boot (?:SPL )?20\d\d\.\d\d/;
/** Autoboot went on: the project's own script, which listens to nobody any more, or a kernel. */
const BOOTS_ON = /bootwright: firmware (?:pointer|load|error)|Starting kernel/;
const DONE = /bw=(\d+)[\r\n]+[^\r\n<]{0,32}> $/;

/** What a UART holds: more at once may be lost where U-Boot is slow to read. */
const PIECE = 16;
const ECHO_MS = 2000;
const INTERRUPT_MS = 25;
/** From the banner to the prompt, autoboot's delay included. */
const INTERRUPTS = 800;
const TYPING_TRIES = 8;
/** So many Ctrl-C in a row that bring no prompt: a damaged one is likely, three are not. */
const DEAF_TRIES = 3;
/** Nothing more comes of keys that were pressed before. */
const QUIET_MS = 120;
const QUIET_TRIES = 20;

/**
 * Interrupts autoboot: a key too early or too late is of no use, so keys are pressed all the time. Throws SerialFailure
 * `locked` where U-Boot boots on, or never shows a prompt.
 */
export function* interruptAutoboot(): Task<void> {
  for (let i = 0; i < INTERRUPTS; i++) {
    const got = yield* wait({ type: INTERRUPT, until: [PROMPT, BOOTS_ON], withinMs: INTERRUPT_MS });
    if (got.kind !== 'match') continue;
    if (got.index === 0) return yield* untilQuiet();
    throw new SerialFailure(
      'locked',
      'U-Boot boots on and lets nobody in: bootdelay is -2 and bw_listen 0, or the key came too late',
    );
  }
  throw new SerialFailure('locked', 'U-Boot shows no prompt: it may want a password');
}

/**
 * Runs a command line. Throws SerialFailure `pulled` where its echo or its end does not come.
 * `line` must not hold what U-Boot's shell would take for more than the caller means: names and numbers only.
 */
export function* command(line: string, withinMs = 10_000): Task<{ ok: boolean; output: string }> {
  yield* typeChecked(`${line}; echo bw=$?`);
  const got = yield* wait({ type: '\r', until: [DONE], withinMs });
  if (got.kind !== 'match')
    throw new SerialFailure('pulled', `U-Boot fell silent after "${line}": is the cable still in?`);
  const output = got.text.replace(DONE, '').replaceAll('\r', '');
  return { ok: got.groups[0] === '0', output };
}

/** Value of a variable; undefined where it has none. */
export function* variable(name: string): Task<string | undefined> {
  const { output } = yield* command(`printenv ${name}`);
  return printedVariables(output).get(name);
}

/** `NAME=VALUE` lines as `printenv` prints them. */
export function printedVariables(output: string): Map<string, string> {
  const variables = new Map<string, string>();
  for (const line of output.split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0 && !line.startsWith('#')) variables.set(line.slice(0, equals), line.slice(equals + 1));
  }
  return variables;
}

/**
 * Types piece by piece, each when the former has come back as it was: a byte lost on the way changes no command. Throws
 * SerialFailure `pulled` where nothing comes back. Enter is the caller's.
 */
export function* typeChecked(text: string): Task<void> {
  for (let tries = 0, deaf = 0; tries < TYPING_TRIES && deaf < DEAF_TRIES; tries++) {
    if (yield* typeOnce(text)) return;
    const got = yield* wait({ type: INTERRUPT, until: [PROMPT], withinMs: ECHO_MS });
    deaf = got.kind === 'lost' ? deaf + 1 : 0;
    yield* untilQuiet();
  }
  throw new SerialFailure('pulled', 'U-Boot does not give back what is typed: is the cable still in?');
}

/** Passes over what earlier keys have led to: the echo of what is typed next is to come alone. */
export function* untilQuiet(): Task<void> {
  for (let i = 0; i < QUIET_TRIES; i++)
    if ((yield* wait({ until: [/[\s\S]+/], withinMs: QUIET_MS })).kind === 'lost') return;
}

function* typeOnce(text: string): Task<boolean> {
  for (let at = 0; at < text.length; at += PIECE) {
    const piece = text.slice(at, at + PIECE);
    const echo = new RegExp(`^${piece.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
    const got = yield* wait({ type: piece, until: [echo], withinMs: ECHO_MS });
    if (got.kind !== 'match') return false;
  }
  return true;
}
