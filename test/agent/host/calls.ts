/** Calls of a Host as values, for programs that run where a test does not: in a namespace of their own. */
import { type Host, HostError } from '../../../agent/linux/host.ts';

/** Name of the call and its arguments; null stands for undefined. */
export type Calls = [keyof Host, ...unknown[]][];

/** Makes them one after another: the code of each that failed, else null. */
export function made(host: Host, calls: Calls): (string | null)[] {
  return calls.map(([call, ...args]) => {
    try {
      const does = host[call] as (...args: unknown[]) => void;
      does.apply(
        host,
        args.map((each) => each ?? undefined),
      );
      return null;
    } catch (error) {
      if (error instanceof HostError) return error.code;
      throw error;
    }
  });
}
