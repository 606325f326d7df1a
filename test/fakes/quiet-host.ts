/** The Node host with its console kept in memory and the machine-wide calls (host name) only recorded. */
import { NodeHost } from '../../agent/node/host.ts';

export class QuietHost extends NodeHost {
  readonly console: string[] = [];
  readonly hostNames: string[] = [];

  override print(line: string): void {
    this.console.push(line);
  }

  override setHostName(name: string): void {
    this.hostNames.push(name);
  }
}
