/** `agent uid`: what this node is known by, and what each source said. */
import type { Command } from 'commander';
import type { Host } from '../linux/host.ts';
import { UID_SOURCES } from '../linux/uid/sources.ts';
import { readUids, type UidReading, uidOf } from '../linux/uid.ts';
import { jsonText } from './json-text.ts';

const SOURCES = UID_SOURCES.map(({ name, about }) => `  ${name.padEnd(16)}${about}`).join('\n');

export function addUidVerb(program: Command, host: Host, print: (text: string) => void): void {
  program
    .command('uid')
    .description('hardware UID of this node, and what each source of one says')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
The first line is the UID. Sources, in the order they are asked in; bootwright.uid=SOURCE[,SOURCE] on the kernel's
command line says another:
${SOURCES}

Examples:
  agent uid
  agent uid --json`,
    )
    .action(({ json }: { json?: boolean }) => {
      const readings = readUids(host);
      if (json) print(jsonText({ uid: winner(readings)?.uid ?? null, sources: readings }));
      else print(uidText(readings));
      // Tells why there is none.
      uidOf(readings);
    });
}

function uidText(readings: readonly UidReading[]): string {
  const first = winner(readings);
  const lines = readings.map((reading) => {
    const said = reading.value === undefined ? '' : `"${reading.value}": `;
    return `${reading === first ? '*' : ' '} ${reading.source.padEnd(16)}${reading.uid ?? `- (${said}${reading.why})`}`;
  });
  return [first?.uid ?? 'no hardware UID', ...lines].join('\n');
}

/** The one that counts; undefined where none does. */
function winner(readings: readonly UidReading[]): UidReading | undefined {
  const first = readings.find(({ uid, unread }) => uid !== undefined || unread);
  return first?.uid === undefined ? undefined : first;
}
