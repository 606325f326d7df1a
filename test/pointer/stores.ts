/** Every kind of pointer store, as it is before the first pointer is written. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { eepromLayout } from '../../agent/protocol/pointer/at24.ts';
import { encodeEnvBlock } from '../../agent/protocol/pointer/env-block.ts';
import { redundantFwEnv, singleFwEnv } from '../../agent/protocol/pointer/fw-env.ts';
import { ipxeScript } from '../../agent/protocol/pointer/ipxe-script.ts';
import type { PointerLayout } from '../../agent/protocol/pointer/layout.ts';
import type { BootPointer } from '../../agent/protocol/pointer/record.ts';
import { rpiEeprom } from '../../agent/protocol/pointer/rpi-eeprom.ts';
import { LARGEST_SLOT, slotPair } from '../../agent/protocol/pointer/slot-pair.ts';
import { ubootEnv } from '../../agent/protocol/pointer/uboot-env.ts';
import { rpiImage } from './rpi-image.ts';

export const POINTER: BootPointer = {
  sequence: 7,
  image: 'alpha',
  disks: ['root', 'data'],
  imagers: ['10.77.0.1', '10.77.0.2'],
  cluster: 'one',
  deployment: 'd1',
  phase: 'deploy',
  attempts: 3,
  fallback: '',
};
const { sequence: _, ...fields } = POINTER;
export const FIELDS: Omit<BootPointer, 'sequence'> = fields;

export const ENV_SIZE = 0x400;

/** Variables of a board, among them one that reaches into the block's last 512 bytes. */
export const VARIABLES: ReadonlyMap<string, string> = new Map([
  ['bootcmd', 'run distro_bootcmd'],
  ['ethaddr', '52:54:00:77:00:11'],
  ['script', 'x'.repeat(0x1e0)],
]);

/** One block with the board's variables, the other erased. */
function environment(flag: number | undefined): Uint8Array {
  const image = new Uint8Array(2 * ENV_SIZE).fill(0xff);
  image.set(encodeEnvBlock({ variables: VARIABLES, flag }, ENV_SIZE));
  return image;
}

const IPXE_BLANK = readFileSync(resolve(import.meta.dirname, '../../firmware-stubs/ipxe/eeprom.ipxe'));

export interface StoreCase {
  name: string;
  layout: PointerLayout;
  factory: Uint8Array;
}

export const STORES: StoreCase[] = [
  { name: 'uboot-env', layout: ubootEnv, factory: new Uint8Array(0x2000) },
  { name: 'ipxe-script', layout: ipxeScript, factory: IPXE_BLANK },
  { name: 'eeprom of 256 bytes', layout: eepromLayout(256), factory: new Uint8Array(256).fill(0xff) },
  { name: 'eeprom of 64 KiB', layout: eepromLayout(65536), factory: new Uint8Array(2048) },
  { name: 'efivars', layout: slotPair('efivars', LARGEST_SLOT), factory: new Uint8Array(2 * LARGEST_SLOT) },
  { name: 'fw-env, counter', layout: redundantFwEnv(ENV_SIZE, 'counter'), factory: environment(255) },
  { name: 'fw-env, boolean', layout: redundantFwEnv(ENV_SIZE, 'boolean'), factory: environment(1) },
  { name: 'fw-env, single', layout: singleFwEnv(ENV_SIZE), factory: environment(undefined) },
];

/** An image is written as a file that takes the former one's place: no bytes are torn in it (rpi-eeprom.test.ts). */
export const RPI_STORE: StoreCase = {
  name: 'rpi-eeprom',
  layout: rpiEeprom(512 * 1024),
  factory: rpiImage(),
};
