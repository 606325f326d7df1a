/**
 * What scripts left and the imager does not have yet, in order. Pure. The node's disk has it all (linux/outputs.ts): what has to go
 * here is told by the next boot.
 */
import type { OutputMessage } from '../protocol/messages.ts';
import type { ScriptOutput } from '../protocol/output.ts';

/** Characters kept in memory. */
const MAX_LENGTH = 1024 * 1024;

export class UntoldOutputs {
  #outputs: ScriptOutput[] = [];

  /** In the place of what is there of the same script; as it is to be sent. */
  add(output: ScriptOutput): OutputMessage {
    this.#outputs = [...this.#outputs.filter(({ script }) => script !== output.script), output];
    let length = this.#outputs.reduce((sum, each) => sum + each.output.length, 0);
    while (length > MAX_LENGTH) length -= this.#outputs.shift()!.output.length;
    return { type: 'output', ...output };
  }

  /** The imager has what the script left in that boot. */
  kept(script: string, bootId: string): void {
    this.#outputs = this.#outputs.filter((each) => each.script !== script || each.bootId !== bootId);
  }

  /** Everything as it is to be sent. */
  pending(): OutputMessage[] {
    return this.#outputs.map((output) => ({ type: 'output', ...output }));
  }
}
