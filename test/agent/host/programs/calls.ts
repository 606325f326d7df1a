/** Makes the calls of a Host that are its argument, as JSON, and prints what came of each. */
import type { Host } from '../../../../agent/linux/host.ts';
import { start } from '../../../../agent/quickjs/start.ts';
import { type Calls, made } from '../calls.ts';

start(async (host: Host, [calls]) => {
  host.print(JSON.stringify(made(host, JSON.parse(calls!) as Calls)));
  host.exit(0);
});
