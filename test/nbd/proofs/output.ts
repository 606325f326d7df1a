/** What a process prints, as it comes. */
import type { ChildProcess } from 'node:child_process';

export class Output {
  text = '';
  readonly ended: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #over = false;

  constructor(child: ChildProcess) {
    const take = (chunk: Buffer): void => {
      this.text += chunk;
      this.#wake();
    };
    child.stdout!.on('data', take);
    child.stderr!.on('data', take);
    this.ended = new Promise((resolve) => {
      child.once('close', () => {
        this.#over = true;
        this.#wake();
        resolve();
      });
    });
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves with the part that matches, at once or as soon as it is there; rejects where it never will be. */
  said(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = pattern.exec(this.text)?.[0];
        if (found === undefined && !this.#over) return;
        this.#waiting.delete(look);
        if (found === undefined) reject(new Error(`it ended without ${pattern}:\n${this.text}`));
        else resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }
}
