/** Starts a program on the QuickJS host: a rejection that gets here ends it with its stack on the console (main.c). */
import * as bw from 'bw';
import type { Host } from '../linux/host.ts';
import { QuickjsHost } from './host.ts';

export function start(main: (host: Host, args: readonly string[]) => Promise<void>): void {
  void main(new QuickjsHost(), bw.programArguments());
}
