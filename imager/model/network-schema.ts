/** Sections of the configuration file about addresses: the nodes' network, subnets behind relay agents, DHCP options. */
import * as z from 'zod';
import { ARCHITECTURES } from './architectures.ts';
import {
  address,
  flag,
  list,
  name,
  named,
  octets,
  oneOf,
  oneOrList,
  section,
  text,
  whole,
  word,
} from './fields.ts';
import { hasHostPrefix } from './ipv4.ts';
import { bootMenu } from './menu-schema.ts';

const MAX_POOLS = 64;
const MAX_DOMAIN = 253;

/** RFC 1035 section 2.3.1, with the digits of RFC 1123. */
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i;

const range = section({ from: address, to: address });
const dns = list('IPv4 addresses', address, 0, 4);
const domain = text(
  'a domain name such as lab.example',
  (value) => value.length <= MAX_DOMAIN && DOMAIN.test(value),
);
const leaseSeconds = whole('seconds a lease lasts', 60, 31_536_000);

export const network = section({
  /** The imager's own address on the nodes' network: every server listens here. */
  address,
  prefix: whole('prefix length of the network', 8, 30),
  /** Addresses for who has none reserved. */
  pool: oneOrList('address ranges', range, MAX_POOLS).optional(),
  router: address.optional(),
  dns: dns.optional(),
  domain: domain.optional(),
  leaseSeconds: leaseSeconds.default(3600),
  /** Where boot files are loaded from, if not from the imager (siaddr, RFC 2131 section 2). */
  nextServer: address.optional(),
});

const subnet = section({
  network: text('a network such as 10.78.0.0/24, its prefix from 8 to 30', hasHostPrefix),
  router: address.optional(),
  dns: dns.optional(),
  domain: domain.optional(),
  /** The network's where it is not given. */
  leaseSeconds: leaseSeconds.optional(),
  pools: list('address ranges', range, 0, MAX_POOLS).default([]),
  nextServer: address.optional(),
  /** Circuits (option 82, sub-option 1) whose clients belong here, whatever the address of their relay agent. */
  circuits: list('circuit ids', octets('a circuit id', 247), 0, 1024).default([]),
});

/** Options that carry the protocol itself: what is in them is not the operator's to say. */
const OWN_OPTIONS: readonly number[] = [50, 51, 52, 53, 54, 55, 57, 61, 82, 93, 94, 97, 118];

export const architecture = oneOf(ARCHITECTURES.map((each) => each.name));

const option = section({
  code: z.custom<number>(
    (value) =>
      Number.isInteger(value) &&
      Number(value) > 0 &&
      Number(value) < 255 &&
      !OWN_OPTIONS.includes(Number(value)),
    { error: `an option code from 1 to 254 that is none of the protocol's own (${OWN_OPTIONS.join(', ')})` },
  ),
  text: text('printable ASCII text of at most 1024 characters', (value) =>
    /^[\x20-\x7e]{1,1024}$/.test(value),
  ).optional(),
  hex: text('bytes in hexadecimal such as 0a4d0001 or 0a:4d:00:01, at most 1024', (value) =>
    /^(?:[0-9a-f]{2}:?){0,1023}[0-9a-f]{2}$/i.test(value),
  ).optional(),
  addresses: list('IPv4 addresses', address, 1, 64).optional(),
  /** Who gets it; everybody without it. */
  for: section({
    node: name('a node name').optional(),
    /** How the vendor class (option 60) begins, or a user class (option 77). */
    class: text('a class such as PXEClient, HTTPClient or iPXE', (value) =>
      /^[\x20-\x7e]{1,255}$/.test(value),
    ).optional(),
    architecture: architecture.optional(),
  }).optional(),
});

export const dhcp = section({
  mode: oneOf(['server', 'proxy', 'off']).default('server'),
  /** Asks whether somebody uses a pool address before offering it. Never done for boot firmware, which cannot wait. */
  probe: flag.default(false),
  /** Networks behind relay agents. */
  subnets: list('subnets', subnet, 0, 256).default([]),
  options: list('DHCP options', option, 0, 256).default([]),
});

export const boot = section({
  /** Image offered over DHCP to iPXE clients that have no pointer of their own. */
  image: name('name of a boot image').optional(),
  /** What a kind of firmware is told to load, instead of what the imager has for it. */
  files: named(
    z.partialRecord(architecture, word, {
      error: 'a section of boot files, each under the name of an architecture',
    }),
  ).default({}),
  /** For who has no menu of its own. */
  menu: bootMenu.optional(),
});
