/** `agent resources`: what this node consists of. */
import type { Command } from 'commander';
import type { Host } from '../linux/host.ts';
import { discoverResources } from '../linux/resources/discover.ts';
import { fieldsText } from '../protocol/resources.ts';
import { jsonText } from './json-text.ts';

export function addResourcesVerb(program: Command, host: Host, print: (text: string) => void): void {
  program
    .command('resources')
    .description('adapters, disks, memory, processors, firmware, pointer stores, PCI and USB devices')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe same is told to the imager at each join: imager node resources.\n\nExamples:\n  agent resources\n  agent resources --json',
    )
    .action(({ json }: { json?: boolean }) => {
      const { resources, faults } = discoverResources(host);
      if (json) return print(jsonText({ resources, faults }));
      for (const { kind, key, fields } of resources) print(`${kind.padEnd(14)}${key}  ${fieldsText(fields)}`);
      for (const { where, why } of faults) print(`not read: ${where}: ${why}`);
    });
}
