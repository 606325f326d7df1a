/** Metrics in the Prometheus text format: what the servers and the recorder count, and this process. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ReadModel } from './read-model.ts';

/** A registry whose values are read from `model` whenever it is asked. */
export function metricsOf(model: Pick<ReadModel, 'stats' | 'gauges' | 'eventCounts' | 'health'>): Registry {
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
    help: 'What each server has at the moment: connections, nodes.',
    labelNames: ['server', 'what'],
    registers: [registry],
    collect() {
      this.reset();
      for (const [server, values] of Object.entries(model.gauges()))
        for (const [what, value] of Object.entries(values)) this.set({ server, what }, value);
    },
  });
  new Counter({
    name: 'bootwright_events_total',
    help: 'Boot events by component, step and reason.',
    labelNames: ['component', 'step', 'reason'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { component, step, reason, count } of model.eventCounts())
        this.inc({ component, step, reason }, count);
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
  return registry;
}
