/** Processors, one resource a package (/proc/cpuinfo, whose lines each architecture has its own of). */
import { crc32 } from '../../protocol/crc32.ts';
import type { Host } from '../host.ts';
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
    const blocks = new TextDecoder().decode(host.readFile(CPUINFO)).split(/\n\n+/);
    const logical = blocks.filter((block) => /^processor\s*:/m.test(block)).map(logicalOf);
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

function logicalOf(block: string, index: number): Logical {
  const value = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(block)?.[1]?.trim();
  const arm = ['implementer', 'part', 'variant', 'revision'].map((part) => value(`CPU ${part}`) ?? '?');
  return {
    package: value('physical id') ?? '0',
    core: value('core id') ?? String(index),
    model: value('model name') ?? `implementer ${arm[0]} part ${arm[1]} r${Number(arm[2])}p${arm[3]}`,
    flags: value('flags') ?? value('Features') ?? '',
  };
}
