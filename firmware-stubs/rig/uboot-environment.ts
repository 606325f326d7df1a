/**
 * U-Boot environment images as `mkenvimage` makes them, and the flash bank of QEMU's `virt` machine that holds one.
 * Layout: agent/protocol/pointer/env-block.ts, one copy.
 */
import { open } from 'node:fs/promises';
import { encodeEnvBlock } from '../../agent/protocol/pointer/env-block.ts';

/** Size of the environment that Debian's `qemu_arm64` U-Boot expects at the start of the second flash bank. */
export const ENVIRONMENT_SIZE = 0x40000;
const FLASH_SIZE = 64 * 1024 * 1024;

/**
 * Variables from text: `NAME=VALUE` lines, `#` begins a comment line, a backslash at the end of a line goes on in the next.
 * Throws with the line's number where there is neither.
 */
export function parseEnvironment(text: string): Map<string, string> {
  const variables = new Map<string, string>();
  let entry = '';
  for (const [index, line] of text.split('\n').entries()) {
    if (entry === '' && (line.startsWith('#') || line.trim() === '')) continue;
    if (line.endsWith('\\')) {
      entry += line.slice(0, -1);
      continue;
    }
    entry += line;
    const equals = entry.indexOf('=');
    if (equals < 1) throw new Error(`line ${index + 1}: no NAME=VALUE`);
    variables.set(entry.slice(0, equals), entry.slice(equals + 1));
    entry = '';
  }
  if (entry !== '') throw new Error('the last line ends with a backslash');
  return variables;
}

/** The image of `size` bytes. Throws RangeError where the variables do not fit, Error where one is no ASCII text. */
export function environmentImage(
  variables: ReadonlyMap<string, string>,
  size: number = ENVIRONMENT_SIZE,
): Uint8Array {
  const bad = [...variables]
    .map((entry) => entry.join('='))
    .find((text) => [...text].some((letter) => letter === '\0' || letter > '~'));
  if (bad !== undefined)
    throw new Error(`variable with a NUL or a letter beyond ASCII: ${JSON.stringify(bad)}`);
  return encodeEnvBlock({ variables, flag: undefined }, size);
}

/**
 * The variables that give a node its identity: `serial#` becomes the device tree's /serial-number, `pxeuuid` DHCP
 * option 97 (a UUID alone can be sent there). U-Boot sends the bytes in the order of the text, RFC 4578 and every PXE
 * client the first three fields little-endian: they are turned round here, so that the wire is right.
 */
export function identityVariables(uid: string): Map<string, string> {
  const serial = /^serial:(.*)$/.exec(uid)?.[1];
  if (serial !== undefined) return new Map([['serial#', serial]]);
  const [low = '', middle = '', high = '', ...rest] = uid.split('-');
  return new Map([
    ['serial#', uid],
    ['pxeuuid', [turnedRound(low), turnedRound(middle), turnedRound(high), ...rest].join('-')],
  ]);
}

function turnedRound(hex: string): string {
  return (hex.match(/../g) ?? []).reverse().join('');
}

/** Writes a flash bank (a sparse file of 64 MiB) that begins with the environment. */
export async function writeFlash(path: string, variables: ReadonlyMap<string, string>): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.write(environmentImage(variables), 0, ENVIRONMENT_SIZE, 0);
    await file.truncate(FLASH_SIZE);
  } finally {
    await file.close();
  }
}
