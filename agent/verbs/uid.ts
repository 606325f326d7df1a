/** `agent uid`: what this node is known by, and what each source said. */
import { UID_SOURCES } from '../linux/uid/sources.ts';
import { readUids, settlingOf, type UidReading, uidFault } from '../linux/uid.ts';
import { columns } from './help.ts';
import { jsonText } from './json-text.ts';
import { JSON_OPTION, type Verb } from './verb.ts';

export const uidVerb: Verb = {
  name: 'uid',
  about: 'hardware UID of this node, and what each source of one says',
  options: [JSON_OPTION],
  get notes() {
    return `The first line is the UID. Sources, in the order they are asked in; bootwright.uid=SOURCE[,SOURCE] on the kernel's
command line says another:
${columns(UID_SOURCES.map(({ name, about }) => [name, about]))}`;
  },
  examples: ['agent uid', 'agent uid --json'],
  run(host, given, print) {
    const readings = readUids(host);
    if (given.has('json')) print(jsonText({ uid: settlingOf(readings)?.uid ?? null, sources: readings }));
    else print(uidText(readings));
    const fault = uidFault(readings);
    if (fault !== undefined) throw new Error(fault);
    return undefined;
  },
};

function uidText(readings: readonly UidReading[]): string {
  const settling = settlingOf(readings);
  const lines = readings.map((reading) => {
    const said = reading.value === undefined ? '' : `"${reading.value}": `;
    const counts = reading === settling && reading.uid !== undefined;
    return `${counts ? '*' : ' '} ${reading.source.padEnd(16)}${reading.uid ?? `- (${said}${reading.why})`}`;
  });
  return [settling?.uid ?? 'no hardware UID', ...lines].join('\n');
}
