/** What the imager's servers say of a node while a scenario runs: its journal, followed over the control socket. */
import { type ClientRequest, request } from 'node:http';
import type { BootEvent } from '../../../imager/journal/event.ts';

export class ImagerSteps {
  readonly #request: ClientRequest;

  private constructor(sent: ClientRequest) {
    this.#request = sent;
  }

  /**
   * Follows the node from now on, until the imager ends or `close`; resolves once nothing more is missed. The agent's own reports are
   * left out: its console has them. Rejects where the imager refuses.
   */
  static follow(socketPath: string, node: string, take: (event: BootEvent) => void): Promise<ImagerSteps> {
    return new Promise((resolve, reject) => {
      const path = `/api/boots/${encodeURIComponent(node)}/stream?last=1`;
      const sent = request({ socketPath, path, agent: false }, (response) => {
        if (response.statusCode !== 200) {
          sent.destroy();
          reject(new Error(`no events of ${node} from the imager: status ${response.statusCode}`));
          return;
        }
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          const parts = (text + chunk).split('\n\n');
          text = parts.pop() ?? '';
          for (const part of parts) {
            // The first part is what was before.
            if (part.startsWith('event: boots')) resolve(new ImagerSteps(sent));
            else if (part.startsWith('data: ')) {
              const event = JSON.parse(part.slice('data: '.length)) as BootEvent;
              if (event.component !== 'agent') take(event);
            }
          }
        });
        // A killed imager ends it in the middle.
        response.on('error', () => {});
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  close(): void {
    this.#request.destroy();
  }
}
