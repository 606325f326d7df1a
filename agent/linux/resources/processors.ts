/** Processors, one resource a package (/proc/cpuinfo, whose lines each architecture has its own of). */
import { crc32 } from '../../protocol/crc32.ts';
import type { Host } from '../host.ts';
import { readText } from '../read-text.ts';
import { attribute, type Found, type ResourceController } from './controller.ts';

const CPUINFO = '/proc/cpuinfo';
/** Kernel 6.1 and later. */
const ARCHITECTURE = '/proc/sys/kernel/arch';

/** What is read of one logical processor. */
interface Logical {
  package: string;
  core: string;
  model: string;
  flags: string;
}

export const processors: ResourceController = {
  kind: 'processor',
  discover(host, found) {
    const logical = logicalOf(readText(host, CPUINFO));
    for (const key of new Set(logical.map((each) => each.package)))
      found(
        packageOf(
          host,
          key,
          logical.filter((each) => each.package === key),
        ),
      );
  },
};

function packageOf(host: Host, key: string, logical: readonly Logical[]): Found {
  const first = logical[0]!;
  return {
    key: `package ${key}`,
    fields: {
      model: first.model,
      arch: attribute(host, ARCHITECTURE),
      cores: new Set(logical.map(({ core }) => core)).size,
      threads: logical.length,
      // What it can do: long, and of interest only where it changes.
      flags: crc32(new TextEncoder().encode(first.flags)).toString(16).padStart(8, '0'),
    },
  };
}

/** Each begins with a line "processor". There may be hundreds: what all share is long, and kept as it stands. */
function logicalOf(cpuinfo: string): Logical[] {
  const all: Map<string, string>[] = [];
  for (const line of cpuinfo.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const name = line.slice(0, colon).trim();
    if (name === 'processor') all.push(new Map());
    else all.at(-1)?.set(name, line.slice(colon + 1).trim());
  }
  return all.map((values, index) => ({
    package: values.get('physical id') ?? '0',
    core: values.get('core id') ?? String(index),
    model: values.get('model name') ?? armModel(values),
    flags: values.get('flags') ?? values.get('Features') ?? '',
  }));
}

/** Numbers of the Main ID Register (Arm Architecture Reference Manual, MIDR_EL1). */
function armModel(values: ReadonlyMap<string, string>): string {
  const [implementer, part, variant, revision] = ['implementer', 'part', 'variant', 'revision'].map(
    (name) => values.get(`CPU ${name}`) ?? '?',
  );
  return `implementer ${implementer} part ${part} r${Number(variant)}p${revision}`;
}
