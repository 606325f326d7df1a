/** Metrics in the Prometheus text format: what boots do, what the servers count, and this process. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { bootMetrics } from './boot-metrics.ts';
import type { ReadModel } from './read-model.ts';

/** A registry whose values are read from `model` whenever it is asked, or follow its events. */
export function metricsOf(model: Pick<ReadModel, 'stats' | 'gauges' | 'watch' | 'health'>): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Counter({
    name: 'bootwright_server_total',
    help: 'What each server counts: packets, requests, refusals by reason.',
    labelNames: ['server', 'what'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [server, counts] of Object.entries(model.stats()))
        for (const [what, count] of Object.entries(counts)) this.inc({ server, what }, count);
    },
  });
  new Gauge({
    name: 'bootwright_server',
    help: 'What each server has at the moment: connections, nodes, bytes.',
    labelNames: ['server', 'what'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [server, values] of Object.entries(model.gauges()))
        for (const [what, value] of Object.entries(values)) this.set({ server, what }, value);
    },
  });
  new Gauge({
    name: 'bootwright_nodes_connected',
    help: 'Nodes whose agent is connected.',
    registers: [registry],
    collect() {
      this.set(model.health().nodes.connected);
    },
  });
  model.watch(bootMetrics(registry));
  return registry;
}
