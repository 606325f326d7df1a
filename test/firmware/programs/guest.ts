/** What programs that are process 1 of a test's machine have in common. */
import type { Host } from '../../../agent/linux/host.ts';
import type { BootPointer } from '../../../agent/protocol/pointer/record.ts';

export const FIELDS: Omit<BootPointer, 'sequence'> = {
  image: 'alpha',
  disks: ['root'],
  imagers: ['10.77.0.1'],
  cluster: 'one',
  deployment: 'd1',
  phase: 'deploy',
  attempts: 3,
  fallback: '',
};

export function mountSystem(host: Host): void {
  host.mount('proc', '/proc', 'proc', 'nosuid,nodev,noexec');
  host.mount('sys', '/sys', 'sysfs', '');
  host.mount('dev', '/dev', 'devtmpfs', 'mode=755');
}

/** A step for the test to see (stepsIn). */
export function say(host: Host, step: string, words: string): void {
  host.print(`STEP ${step} ${words}`);
}

export function text(host: Host, path: string): string {
  return new TextDecoder().decode(host.readFile(path));
}

/** The kernel modules the test has put in, each after those it needs. */
export function modulesOf(host: Host): string[] {
  return text(host, '/modules/order').trim().split('\n');
}
