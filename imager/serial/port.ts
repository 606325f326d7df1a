/** Serial ports of this machine: the only place that imports npm `serialport`, and only when a port is opened. */
import { SerialFailure } from './failure.ts';
import { lockPort } from './lock.ts';

/** An open line: bytes both ways until it is closed here or gone there. */
export interface Line {
  write(bytes: Uint8Array): void;
  onData(listener: (bytes: Uint8Array) => void): void;
  /** Called once, where the port goes without being closed here: `why` in words. */
  onGone(listener: (why: string) => void): void;
  close(): Promise<void>;
}

/**
 * Opens a port, eight bits, no parity, no flow control, alone: with the kernel's lock, and the lock file that other programs
 * look at. Rejects with SerialFailure `in-use` or `port`.
 */
export async function openPort(path: string, baudRate: number): Promise<Line> {
  const unlock = lockPort(path);
  try {
    return await open(path, baudRate, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function open(path: string, baudRate: number, unlock: () => void): Promise<Line> {
  const { SerialPort } = await import('serialport');
  // hupcl: many boards reset when the line that says "somebody is there" falls.
  const port = new SerialPort({ path, baudRate, autoOpen: false, lock: true, hupcl: false });
  await new Promise<void>((resolve, reject) => {
    port.open((error) => (error ? reject(openFailure(path, error)) : resolve()));
  });
  let closing = false;
  let gone: ((why: string) => void) | undefined;
  let why: string | undefined;
  const leave = (reason: string) => {
    if (closing || why !== undefined) return;
    why = reason;
    unlock();
    gone?.(why);
  };
  port.on('error', (error) => leave(error.message));
  port.on('close', (error: Error | null) => leave(error?.message ?? 'it was closed'));
  // A port that goes while its bytes are being read gives nothing from then on, which serialport takes for a pause: it reads
  // again and again, and never says so. So the kernel is asked to tell of it as well.
  const { poller } = port.port as { poller?: NodeJS.EventEmitter };
  poller?.once('disconnect', (error: Error | null) => {
    if (!port.isOpen) return;
    leave(error?.message ?? 'it was disconnected');
    port.close(() => {});
  });
  return {
    write(bytes) {
      if (port.isOpen) port.write(bytes);
    },
    onData(listener) {
      port.on('data', listener);
    },
    onGone(listener) {
      gone = listener;
      if (why !== undefined) listener(why);
    },
    async close() {
      closing = true;
      if (port.isOpen) {
        // What was written last (a reset) has to leave first.
        await new Promise<void>((resolve) => port.drain(() => resolve()));
        await new Promise<void>((resolve) => port.close(() => resolve()));
      }
      unlock();
    },
  };
}

function openFailure(path: string, { message }: Error): SerialFailure {
  if (/cannot lock port|resource busy|temporarily unavailable/i.test(message))
    return new SerialFailure('in-use', `${path} is in use by another program`);
  if (/no such file/i.test(message)) return new SerialFailure('port', `there is no port ${path}`);
  if (/permission denied/i.test(message))
    return new SerialFailure(
      'port',
      `no permission for ${path}: on most systems members of the group "dialout" have it`,
    );
  return new SerialFailure('port', `${path} cannot be opened: ${message.replace(/^Error:? /, '')}`);
}
