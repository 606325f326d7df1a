/** The agent's verbs on a full system, run as a technician would. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentProgram } from '../../agent/node/cli.ts';
import { NodeHost } from '../../agent/node/host.ts';

let dir: string;
let eeprom: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'agent-cli-'));
  eeprom = join(dir, 'eeprom');
  writeFileSync(eeprom, new Uint8Array(0x2000));
});
afterEach(() => rmSync(dir, { recursive: true }));

function agent(...args: string[]): string {
  const lines: string[] = [];
  const program = agentProgram(new NodeHost(), (text) => lines.push(text));
  for (const command of [program, ...program.commands, ...program.commands.flatMap((each) => each.commands)])
    command.exitOverride().configureOutput({ writeErr() {} });
  program.parse(args, { from: 'user' });
  return lines.join('\n');
}

const flash = (...more: string[]) =>
  agent('pointer', 'set', '--store', `uboot-env:${eeprom}`, '--cluster', 'demo', ...more);

it('flashes a pointer and shows it, in words and as JSON', () => {
  expect(agent('pointer', 'show', '--store', `uboot-env:${eeprom}`)).toBe('slot 0: empty\nslot 1: empty');
  const text = flash('--image', 'alpha', '--disk', 'root', '--disk', 'data', '--imager', '10.0.0.1');
  expect(text).toMatch(
    /^old: none\nnew, written and verified:\n {2}sequence {4}1\n {2}image {7}alpha\n {2}disks {7}root,data\n/,
  );
  const shown = JSON.parse(agent('pointer', 'show', '--json', '--store', `uboot-env:${eeprom}`));
  expect(shown).toMatchObject({
    active: 0,
    pointer: { image: 'alpha', disks: ['root', 'data'], phase: 'deploy' },
  });
  const again = JSON.parse(flash('--image', 'beta', '--disk', 'root', '--imager', '10.0.0.1', '--json'));
  expect(again).toMatchObject({ old: shown.pointer, new: { image: 'beta', sequence: 2 } });
  expect(again.new.deployment).not.toBe(shown.pointer.deployment);
});

it('refuses what cannot be a pointer, and leaves the EEPROM alone', () => {
  const before = readFileSync(eeprom);
  expect(() => flash('--image', '../x', '--disk', 'root', '--imager', '10.0.0.1')).toThrow(
    'boot pointer not written: image "../x" is not a name',
  );
  expect(() => flash('--image', 'alpha', '--disk', 'root', '--imager', 'imager.example')).toThrow(
    'imager "imager.example" is not an IPv4 address',
  );
  expect(() => flash('--disk', 'root', '--imager', '10.0.0.1')).toThrow('--image');
  expect(readFileSync(eeprom)).toEqual(before);
});

it('names the layouts there are, and the file that is not', () => {
  expect(() => agent('pointer', 'show', '--store', `spi:${eeprom}`)).toThrow(
    'expected KIND:PATH, KIND one of uboot-env, ipxe-script, eeprom, fw-env, efivars, rpi-eeprom',
  );
  expect(() => agent('pointer', 'show', '--store', 'uboot-env')).toThrow('expected KIND:PATH');
  expect(() => agent('pointer', 'show', '--store', `uboot-env:${dir}/none`)).toThrow(/none/);
});

it('does not write to what is no EEPROM unless it is told to', () => {
  const words = ['--image', 'alpha', '--disk', 'root', '--imager', '10.0.0.1'];
  for (const [content, fault] of [
    [Buffer.alloc(0x4001), 'it is larger than an EEPROM of 16384 bytes'],
    [Buffer.alloc(0x2001), 'it has 8193 bytes, an EEPROM 16384 (an older one 8192)'],
    [Buffer.alloc(100), 'it has 100 bytes, an EEPROM 16384 (an older one 8192)'],
    [Buffer.alloc(0x2000, 'data '), 'it holds something else than boot pointers of layout uboot-env'],
  ] as const) {
    writeFileSync(eeprom, content);
    expect(() => flash(...words)).toThrow(`was not written: ${fault}`);
    expect(readFileSync(eeprom)).toEqual(content);
  }
  expect(flash(...words, '--force')).toMatch(/new, written and verified/);
});
