/** A TFTP server over files in memory, with what it reported. */
import { pino } from 'pino';
import { type BootFile, type BootFiles, memoryFile } from '../../imager/images/boot-files.ts';
import { systemClock } from '../../imager/journal/clock.ts';
import type { BootEvent } from '../../imager/journal/event.ts';
import { TftpServer, type TftpServerOptions } from '../../imager/tftp/server.ts';

export interface Served {
  server: TftpServer;
  events: BootEvent[];
  /** Files open now. */
  open: () => number;
  /** Resolves with the next event of this step, or the first that came already. */
  event: (step: string) => Promise<BootEvent>;
}

type Content = Uint8Array | Partial<BootFile> | Error;

export async function serve(
  content: Record<string, Content>,
  options: Partial<TftpServerOptions> = {},
): Promise<Served> {
  let opened = 0;
  const events: BootEvent[] = [];
  const watchers = new Set<(event: BootEvent) => void>();
  const files: BootFiles = {
    async open(path) {
      const found = content[path];
      if (found instanceof Error) throw found;
      if (found === undefined) return undefined;
      opened++;
      const base =
        found instanceof Uint8Array ? memoryFile(found) : { ...memoryFile(new Uint8Array()), ...found };
      return {
        ...base,
        async close() {
          opened--;
        },
      };
    },
  };
  const server = await TftpServer.start({
    address: '127.0.0.1',
    port: 0,
    files,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    sink(event) {
      events.push(event);
      for (const watcher of watchers) watcher(event);
    },
    ...options,
  });
  const event = (step: string) =>
    new Promise<BootEvent>((resolve) => {
      const found = events.find((known) => known.step === step);
      if (found !== undefined) return resolve(found);
      const watcher = (known: BootEvent) => {
        if (known.step !== step) return;
        watchers.delete(watcher);
        resolve(known);
      };
      watchers.add(watcher);
    });
  return { server, events, open: () => opened, event };
}

/** Bytes that are the same in every process, without runs or periods that could hide a misplaced block. */
export function sampleBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x9e3779b9;
  for (let index = 0; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}
