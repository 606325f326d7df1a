/** A local store in memory. */
import type { Definition, LocalContent, LocalStore } from '../../agent/protocol/definition.ts';
import { NO_CONTENT, withDefinition, withoutCluster } from '../../agent/protocol/local-content.ts';

export class MemoryLocalStore implements LocalStore {
  content: LocalContent = NO_CONTENT;

  read(): LocalContent {
    return this.content;
  }

  define(definition: Definition): void {
    this.content = withDefinition(this.content, definition);
  }

  erase(clusterId: string): void {
    this.content = withoutCluster(this.content, clusterId);
  }

  point(clusters: Pick<LocalContent, 'current' | 'target'>): void {
    this.content = { ...this.content, ...clusters };
  }
}
