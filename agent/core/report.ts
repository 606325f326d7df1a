/**
 * What a node has to tell its imager and the imager has not acknowledged yet, in order: steps of earlier boots first, then
 * those of this one. Pure; agent/linux/report-file.ts keeps it over reboots.
 */
import type { AgentMessage, Step, StepDetail } from '../protocol/messages.ts';
import { type EarlierBoot, MAX_DETAIL_TEXT, MAX_STEP_NAME } from '../protocol/step.ts';

/** More than the boots of a day have. */
const MAX_STEPS = 1000;
/** Characters of their details, about. */
const MAX_SIZE = 256 * 1024;

interface Entry {
  boot: EarlierBoot;
  step: Step;
  size: number;
}

/** What was kept of an earlier process or boot. */
export interface KeptReport {
  bootId: string;
  lastSeq: number;
  dropped: number;
  /** Each with its boot. */
  steps: Step[];
}

export class Report {
  readonly #boot: EarlierBoot;
  #entries: Entry[] = [];
  #size = 0;
  #lastSeq = 0;
  #dropped = 0;

  /**
   * `boot`: the present one. `uptime`: its seconds so far. Steps are numbered from its milliseconds on: where nothing is left of what an
   * earlier process of this boot has told, its numbers are not used again, which an imager takes for steps that it has.
   */
  constructor(boot: EarlierBoot, uptime: number) {
    this.#boot = boot;
    this.#lastSeq = Math.floor(uptime * 1000);
  }

  get empty(): boolean {
    return this.#entries.length === 0;
  }

  /** Number of the last step of this boot. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Steps that had to go before the imager had them, the oldest always first. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Puts what was kept before what there is already. */
  recall(kept: KeptReport): void {
    const present = this.#entries;
    this.#entries = [];
    this.#size = 0;
    if (kept.bootId === this.#boot.id) this.#lastSeq = Math.max(this.#lastSeq, kept.lastSeq);
    this.#dropped += kept.dropped;
    for (const { boot = this.#boot, ...step } of kept.steps) this.#push(boot, step);
    for (const { boot, step } of present) this.#push(boot, step);
  }

  /** A new step of this boot; as it is to be sent. Of what is too long for a message its beginning. */
  add(step: string, uptime: number, detail: StepDetail): Step {
    this.#lastSeq += 1;
    const message: Step = {
      ...{ type: 'step', seq: this.#lastSeq, step: cut(step, MAX_STEP_NAME), uptime },
      detail: Object.fromEntries(
        Object.entries(detail).map(([key, value]) => [
          cut(key, MAX_STEP_NAME),
          typeof value === 'string' ? cut(value, MAX_DETAIL_TEXT) : value,
        ]),
      ),
    };
    this.#push(this.#boot, message);
    return message;
  }

  /** The imager has step `seq`, of this boot where `bootId` names no other. False where that was known. */
  acknowledged(seq: number, bootId = this.#boot.id): boolean {
    const at = this.#entries.findIndex(({ boot, step }) => step.seq === seq && boot.id === bootId);
    const [entry] = at < 0 ? [] : this.#entries.splice(at, 1);
    this.#size -= entry?.size ?? 0;
    return entry !== undefined;
  }

  /** What has been said of the steps that went is said. */
  droppedTold(): void {
    this.#dropped = 0;
  }

  /** Everything that is not acknowledged, as it is to be sent, oldest first. */
  pending(): AgentMessage[] {
    return this.#entries.map(({ boot, step }) => (boot.id === this.#boot.id ? step : { ...step, boot }));
  }

  /** What is to be kept. `reserved`: numbers that a process killed meanwhile may have used. */
  kept(reserved: number): KeptReport {
    return {
      ...{ bootId: this.#boot.id, lastSeq: this.#lastSeq + reserved, dropped: this.#dropped },
      steps: this.#entries.map(({ boot, step }) => ({ ...step, boot })),
    };
  }

  #push(boot: EarlierBoot, step: Step): void {
    const size = sizeOf(step);
    this.#entries.push({ boot, step, size });
    this.#size += size;
    while (this.#entries.length > MAX_STEPS || this.#size > MAX_SIZE) {
      this.#size -= this.#entries.shift()!.size;
      this.#dropped += 1;
    }
  }
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}

function sizeOf({ step, detail = {} }: Step): number {
  const words = Object.entries(detail).map(([key, value]) => key.length + String(value).length);
  return words.reduce((sum, each) => sum + each, step.length + 64);
}
