/**
 * Shape of the configuration file. Every leaf carries its expectation in words ("a MAC address such as ..."),
 * which load.ts puts behind file, line, column and what was found.
 */
import * as z from 'zod';
import { isIpv4 } from '../../agent/protocol/ipv4.ts';
import { AGENT_PORT } from '../../agent/protocol/messages.ts';
import { isName } from '../../agent/protocol/names.ts';
import { parseUid } from '../../agent/protocol/uid.ts';

/** RFC 1123 section 2.1: a host name label. */
const HOST_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i;
/** Script names become file names under /var/lib on the node. */
const SCRIPT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export const MAX_SCRIPT_BYTES = 1024 * 1024;
const MAX_PLAN_WORD = 256;

/** True where `text` can be a host name (one label). */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}

function text(expected: string, test: (value: string) => boolean) {
  return z.custom<string>((value) => typeof value === 'string' && test(value), { error: expected });
}

function whole(expected: string, min: number, max: number) {
  return z.custom<number>(
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    {
      error: `${expected}, a whole number from ${min} to ${max}`,
    },
  );
}

/** An object that takes the keys of `shape` and no others. */
function section<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `one of ${Object.keys(shape).join(', ')}`
        : `a section with ${Object.keys(shape).join(', ')}`,
  });
}

function list<T extends z.ZodType>(of: string, item: T, min = 0, max = 4096) {
  return z
    .array(item, { error: `a list of ${of}` })
    .min(min, { error: `a list of at least ${min} ${of}` })
    .max(max, { error: `a list of at most ${max} ${of}` });
}

const name = (what: string) =>
  text(`${what}: 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit`, isName);
const address = text('an IPv4 address such as 10.77.0.11', isIpv4);
const mac = text('a MAC address such as 52:54:00:12:34:56', (value) => MAC.test(value)).transform((value) =>
  value.toLowerCase(),
);
const uid = text(
  'a hardware UID: a UUID such as 9f0c8a52-1c7e-4d1b-8f43-0a6d5b7c1e21, or serial:NUMBER',
  (value) => parseUid(value) !== undefined,
).transform((value) => parseUid(value) ?? value);
const port = (what: string) => whole(`port of ${what}`, 0, 65535);
const seconds = whole('a number of seconds', 1, 86_400);
const word = text('a non-empty text', (value) => value !== '' && !value.includes('\0'));
/** Reaches the node in a plan, whose texts are no longer (agent/protocol/messages.ts). */
const planWord = text(
  `a non-empty text of at most ${MAX_PLAN_WORD} characters: a longer one goes into a script on the disk`,
  (value) => value !== '' && value.length <= MAX_PLAN_WORD && !value.includes('\0'),
);
const command = list('words: the program and its arguments', word, 1, 64);
const flag = z.custom<boolean>((value) => typeof value === 'boolean', { error: 'true or false' });

const network = section({
  /** The imager's own address on the nodes' network: every server listens here. */
  address,
  prefix: whole('prefix length of the network', 8, 30),
  pool: section({ from: address, to: address }).optional(),
  router: address.optional(),
  dns: list('IPv4 addresses', address, 0, 4).optional(),
  leaseSeconds: whole('seconds a lease lasts', 60, 31_536_000).default(3600),
});

const ports = section({
  dhcp: port('the DHCP server').default(67),
  dhcpClient: port('DHCP clients').default(68),
  tftp: port('TFTP').default(69),
  http: port('HTTP').default(80),
  nbd: port('NBD').default(10809),
  agent: port('the agent endpoint').default(AGENT_PORT),
});

const node = section({
  name: name('a node name'),
  mac: mac.optional(),
  uid: uid.optional(),
  /** Reserved for the node; without it the node takes one from the pool. */
  address: address.optional(),
  hostname: text('a host name: letters, digits and -, at most 63', isHostName).optional(),
  userConfig: name('name of a user configuration').optional(),
  power: section({ on: command.optional(), off: command.optional() }).optional(),
});

const script = section({
  name: text('a file name: letters, digits, . _ -', (value) => SCRIPT_NAME.test(value)),
  stage: z.custom<1 | 2>((value) => value === 1 || value === 2, {
    error: '1 (between the two reboots) or 2 (after services are up)',
  }),
  file: word.optional(),
  content: z
    .custom<string>((value) => typeof value === 'string', { error: 'the text of a script' })
    .optional(),
  timeoutSeconds: seconds.default(60),
});

const services = section({
  init: list('words: the program process 1 becomes, and its arguments', planWord, 1, 16).default([
    '/sbin/init',
  ]),
  ports: list('TCP ports', whole('a TCP port', 1, 65535), 0, 16).default([]),
  timeoutSeconds: seconds.default(60),
});

const userConfig = section({
  secondReboot: flag.default(false),
  scripts: list('scripts', script, 0, 256).default([]),
  services: services.default({ init: ['/sbin/init'], ports: [], timeoutSeconds: 60 }),
});

/** The file as written, defaults filled in; paths not resolved, scripts not read. */
export const configFile = section({
  state: word,
  cluster: name('a cluster name'),
  network,
  ports: ports.default({ dhcp: 67, dhcpClient: 68, tftp: 69, http: 80, nbd: 10809, agent: AGENT_PORT }),
  boot: section({ image: name('name of a boot image') }).optional(),
  nodes: list('nodes', node).default([]),
  userConfigs: z
    .record(name('a name'), userConfig, { error: 'a section of user configurations, each under its name' })
    .default({}),
});

export type ConfigFile = z.infer<typeof configFile>;
