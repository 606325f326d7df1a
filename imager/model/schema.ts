/**
 * Shape of the configuration file. Every leaf carries its expectation in words ("a MAC address such as ..."),
 * which load.ts puts behind file, line, column and what was found. Addresses and DHCP: network-schema.ts.
 */
import * as z from 'zod';
import { HEARTBEAT_SECONDS } from '../../agent/protocol/heartbeat.ts';
import { isAdapterMac, isMac } from '../../agent/protocol/mac.ts';
import { AGENT_PORT } from '../../agent/protocol/messages.ts';
import { isScriptName } from '../../agent/protocol/names.ts';
import { parseUid } from '../../agent/protocol/uid.ts';
import { ENROLMENTS, LOST_SECONDS } from './config.ts';
import {
  address,
  command,
  flag,
  list,
  name,
  named,
  octets,
  oneOf,
  port,
  seconds,
  section,
  text,
  whole,
  word,
} from './fields.ts';
import { hasHostPrefix } from './ipv4.ts';
import { bootMenu } from './menu-schema.ts';
import { boot, dhcp, network } from './network-schema.ts';

/** RFC 1123 section 2.1: a host name label. */
const HOST_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

export const MAX_SCRIPT_BYTES = 1024 * 1024;
const MAX_PLAN_WORD = 256;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const MAX_VARIABLE = 1024;

/** True where `text` can be a host name (one label). */
export function isHostName(text: string): boolean {
  return HOST_NAME.test(text);
}

const mac = text('a MAC address such as 52:54:00:12:34:56', isMac).transform((value) => value.toLowerCase());
const uid = text(
  'a hardware UID: a UUID such as 9f0c8a52-1c7e-4d1b-8f43-0a6d5b7c1e21, or serial:NUMBER',
  (value) => parseUid(value) !== undefined,
).transform((value) => parseUid(value) ?? value);
/** Reaches the node in a plan, whose texts are no longer (agent/protocol/messages.ts). */
const planWord = text(
  `a non-empty text of at most ${MAX_PLAN_WORD} characters: a longer one goes into a script on the disk`,
  (value) => value !== '' && value.length <= MAX_PLAN_WORD && !value.includes('\0'),
);
const ports = section({
  dhcp: port('the DHCP server').default(67),
  dhcpClient: port('DHCP clients').default(68),
  tftp: port('TFTP').default(69),
  http: port('HTTP').default(80),
  nbd: port('NBD').default(10809),
  agent: port('the agent endpoint').default(AGENT_PORT),
});

const variable = text(
  `a text of at most ${MAX_VARIABLE} characters`,
  (value) => value.length <= MAX_VARIABLE && !value.includes('\0'),
);

const adapterMac = text(
  "a MAC address for one adapter, such as 02:00:00:12:34:56: no group's, not zero",
  isAdapterMac,
).transform((value) => value.toLowerCase());

const adapter = section({
  /** The one from its maker, by which it is known; without it, the adapter that the node boots over. */
  mac: adapterMac.optional(),
  /** The one it is to have. */
  setMac: adapterMac.optional(),
  address: text('an address such as 10.77.0.50/24, its prefix from 8 to 30', hasHostPrefix).optional(),
  /** For the default route. */
  gateway: address.optional(),
});

const node = section({
  name: name('a node name'),
  mac: mac.optional(),
  uid: uid.optional(),
  /** Reserved for the node; without it the node takes one from the pool. */
  address: address.optional(),
  /** Option 61 of its DHCP client, where that is all it can be known by. */
  clientId: octets('a client identifier', 255)
    .refine((hex) => hex.length >= 4, {
      error: 'a client identifier of at least two bytes (RFC 2132 section 9.14)',
    })
    .optional(),
  /** Circuit of its relay agent (option 82, sub-option 1). */
  circuit: octets('a circuit id', 247).optional(),
  /** Board serial number, as the boards of Raspberry Pi name the folder of their boot files. */
  serial: text('a board serial number: at most 32 letters and digits', (value) =>
    /^[A-Za-z0-9]{1,32}$/.test(value),
  )
    .transform((value) => value.toLowerCase())
    .optional(),
  /** Those that are not to be as the firmware leaves them. */
  adapters: list('adapters', adapter, 0, 16).optional(),
  hostname: text('a host name: letters, digits and -, at most 63', isHostName).optional(),
  userConfig: name('name of a user configuration').optional(),
  boot: section({
    /** Image it is offered while it has no boot pointer. */
    image: name('name of a boot image').optional(),
    /** What its firmware is told to load, whatever its kind. */
    file: word.optional(),
    menu: bootMenu.optional(),
  }).optional(),
  /** For templates. */
  variables: named(
    z.record(
      text('a variable name: letters, digits and _', (value) => VARIABLE.test(value)),
      variable,
      { error: 'a section of variables, each under its name' },
    ),
  ).optional(),
  power: section({ on: command.optional(), off: command.optional() }).optional(),
});

const onFailure = oneOf(['retry', 'fall-back', 'stop', 'continue']);

const script = section({
  /** Becomes a file name under /var/lib on the node. */
  name: text(
    'a file name: 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit, not ending in .new',
    isScriptName,
  ),
  stage: z.custom<1 | 2>((value) => value === 1 || value === 2, {
    error: '1 (between the two reboots) or 2 (after services are up)',
  }),
  file: word.optional(),
  content: z
    .custom<string>((value) => typeof value === 'string', { error: 'the text of a script' })
    .optional(),
  timeoutSeconds: seconds.default(60),
  run: oneOf(['once', 'always']).default('once'),
  /** Without it that of its user configuration. */
  onFailure: onFailure.optional(),
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
  /** For scripts that do not say. */
  onFailure: onFailure.default('retry'),
  services: services.prefault({}),
});

/** Files: PEM, and GnuTLS' list of pre-shared keys. */
const nbdTls = section({
  mode: oneOf(['off', 'allowed', 'required']).default('required'),
  cert: word.optional(),
  key: word.optional(),
  ca: word.optional(),
  psk: word.optional(),
});

const agents = section({
  /** Who is defined to the cluster without being asked for by name. */
  enrolment: oneOf(ENROLMENTS).default('first'),
  /** File with the key of enrolment: 64 hexadecimal digits. */
  enrolmentKey: word.optional(),
  /** Between two heartbeats of a node. */
  heartbeatSeconds: seconds.default(HEARTBEAT_SECONDS),
  /** A node that is silent for so long is lost. */
  lostSeconds: seconds.default(LOST_SECONDS),
});

/** The file as written, defaults filled in; paths not resolved, scripts not read. */
export const configFile = section({
  state: word,
  cluster: name('a cluster name'),
  network,
  ports: ports.prefault({}),
  dhcp: dhcp.prefault({}),
  boot: boot.prefault({}),
  /** Folder of the operator's boot menu templates. */
  templates: word.optional(),
  https: section({ port: port('HTTPS').default(443), cert: word, key: word }).optional(),
  nbd: section({ tls: nbdTls.optional() }).default({}),
  agents: agents.prefault({}),
  nodes: list('nodes', node).default([]),
  userConfigs: named(
    z.record(name('a name'), userConfig, {
      error: 'a section of user configurations, each under its name',
    }),
  ).default({}),
});

export type ConfigFile = z.infer<typeof configFile>;
