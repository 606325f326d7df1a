/** Errors of Node's calls as HostError. */
import { HostError } from '../linux/host.ts';

/** `error` with its errno name; 'EIO' where Node names none. */
export function hostError(error: unknown): HostError {
  if (error instanceof HostError) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  return new HostError(typeof code === 'string' ? code : 'EIO', String(message ?? error));
}

/** Runs `call`; what it throws becomes a HostError. */
export function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw hostError(error);
  }
}
