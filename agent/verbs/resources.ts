/** `agent resources`: what this node consists of. */
import { discoverResources } from '../linux/resources/discover.ts';
import { fieldsText } from '../protocol/resources.ts';
import { jsonText } from './json-text.ts';
import { JSON_OPTION, type Verb } from './verb.ts';

export const resourcesVerb: Verb = {
  name: 'resources',
  about: 'adapters, disks, memory, processors, firmware, pointer stores, PCI and USB devices',
  options: [JSON_OPTION],
  notes: 'The same is told to the imager at each join: imager node resources.',
  examples: ['agent resources', 'agent resources --json'],
  run(host, given, print) {
    const { resources, faults } = discoverResources(host);
    if (given.has('json')) {
      print(jsonText({ resources, faults }));
      return undefined;
    }
    for (const { kind, key, fields } of resources) print(`${kind.padEnd(14)}${key}  ${fieldsText(fields)}`);
    for (const { where, why } of faults) print(`not read: ${where}: ${why}`);
    return undefined;
  },
};
