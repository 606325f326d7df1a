/** Finding out who is at the other end of a line: a node that speaks frames, U-Boot, or nobody who answers. */
import { SERIAL_VERSION } from '../../agent/protocol/serial/operations.ts';
import { SerialFailure } from './failure.ts';
import { FramesEnd } from './frames-end.ts';
import type { NodeEnd } from './node-end.ts';
import { type ConsoleSummary, type LineState, type Task, tell, wait } from './task.ts';
import { AUTOBOOT, BANNER, INTERRUPT, LISTENS, PROMPT } from './uboot-console.ts';
import { openUboot } from './uboot-end.ts';

export interface ReachOptions {
  /** How long to go on asking: time enough to switch the node on. */
  withinMs: number;
  /** Whether U-Boot may be interrupted. Without it nothing but hellos is sent. */
  uboot: boolean;
}

/** Twice what a hello and its answer take at 9600 baud; a node that starts is soon asked again. */
const PROBE_MS = 400;
/** Fewer bytes say nothing about the baud rate. */
const FEW_BYTES = 8;

/** Asks until somebody answers. Throws SerialFailure `unanswered`, `garbled` or `locked`. */
export function* reach(line: LineState, { withinMs, uboot }: ReachOptions): Task<NodeEnd> {
  const end = yield* find(line, withinMs, uboot);
  yield* tell({ step: 'found', identity: end.identity });
  return end;
}

function* find(line: LineState, withinMs: number, uboot: boolean): Task<NodeEnd> {
  for (let waited = 0; waited < withinMs; waited += PROBE_MS) {
    const got = yield* wait({
      request: { op: 'hello', version: SERIAL_VERSION },
      ...(uboot ? { type: INTERRUPT, until: [PROMPT, AUTOBOOT, LISTENS, BANNER] } : {}),
      withinMs: PROBE_MS,
    });
    if (got.kind === 'answer') {
      const { answer } = got;
      if (answer.op !== 'hello') throw new SerialFailure('refused', 'the node refuses to be spoken to');
      if (answer.version !== SERIAL_VERSION)
        throw new SerialFailure(
          'refused',
          `the node speaks version ${answer.version} of the serial protocol, this is version ${SERIAL_VERSION}`,
        );
      return new FramesEnd(answer, line);
    }
    if (got.kind === 'match') {
      // A prompt that came together with words of a start is one that our own keys led to.
      const started = AUTOBOOT.test(got.text) || BANNER.test(got.text);
      return yield* openUboot({ waiting: got.index === 0 && !started });
    }
  }
  throw nobody(line.console, withinMs);
}

function nobody({ bytes, odd, echoed, lastLine }: ConsoleSummary, withinMs: number): SerialFailure {
  const time = `${Math.round(withinMs / 1000)} s`;
  if (bytes === 0)
    return new SerialFailure(
      'unanswered',
      `nothing came within ${time}: is the node switched on, and the cable in its console port?`,
    );
  if (bytes >= FEW_BYTES && odd > bytes / 4)
    return new SerialFailure(
      'garbled',
      `what comes is neither text nor frames (${odd} of ${bytes} bytes): is the baud rate right?`,
    );
  if (echoed > 0)
    return new SerialFailure(
      'unanswered',
      `the node runs, and says again what is typed: no firmware answered within ${time}; ` +
        'switch the node off and on while this waits',
    );
  return new SerialFailure(
    'unanswered',
    `no firmware answered within ${time}; the console says "${lastLine}": ` +
      'switch the node off and on while this waits',
  );
}
