import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planFaults } from '../../agent/core/plan.ts';
import { encodeFrame, FrameReader } from '../../agent/protocol/frame.ts';
import { type Plan, parseImagerMessage } from '../../agent/protocol/messages.ts';
import { ConfigError } from '../../imager/model/fault.ts';
import { loadConfig, parseConfig } from '../../imager/model/load.ts';

/** What a script does that does not say. */
const USUAL = { run: 'once', onFailure: 'retry' };

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'model-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const GOOD = `state: ./state
cluster: demo
network: { address: 10.77.0.1, prefix: 24, pool: { from: 10.77.0.100, to: 10.77.0.199 } }
boot: { image: rescue }
nodes:
  - { name: node1, mac: "52:54:00:00:00:0A", address: 10.77.0.11, userConfig: web }
  - { name: node2, uid: SERIAL:AB-12, hostname: second, power: { on: [ipmi, "on"] } }
userConfigs:
  web:
    secondReboot: true
    scripts:
      - { name: 10-site.sh, stage: 1, content: "echo one" }
      - { name: 20-done.sh, stage: 2, file: done.sh, timeoutSeconds: 5 }
    services: { init: [/sbin/init], ports: [80] }
`;

function faultsOf(text: string): string[] {
  try {
    parseConfig(text, join(dir, 'c.yaml'));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n').map((line) => line.slice(dir.length + 1));
  }
  return [];
}

test('a whole file, defaults filled in, paths and scripts resolved against it', () => {
  writeFileSync(join(dir, 'done.sh'), 'echo done\n');
  writeFileSync(join(dir, 'good.yaml'), GOOD);
  const config = loadConfig(join(dir, 'good.yaml'));
  expect(config).toMatchObject({
    file: join(dir, 'good.yaml'),
    state: join(dir, 'state'),
    network: { address: '10.77.0.1', prefix: 24, leaseSeconds: 3600 },
    ports: { dhcp: 67, dhcpClient: 68, tftp: 69, http: 80, nbd: 10809, agent: 4747 },
    boot: { image: 'rescue' },
  });
  expect(config.nodes).toEqual([
    {
      name: 'node1',
      hostname: 'node1',
      mac: '52:54:00:00:00:0a',
      address: '10.77.0.11',
      userConfig: 'web',
    },
    { name: 'node2', hostname: 'second', uid: 'serial:ab-12', power: { on: ['ipmi', 'on'] } },
  ]);
  expect(config.userConfigs.web).toEqual({
    secondReboot: true,
    scripts: [
      { name: '10-site.sh', stage: 1, content: 'echo one', timeoutSeconds: 60, ...USUAL },
      { name: '20-done.sh', stage: 2, content: 'echo done\n', timeoutSeconds: 5, ...USUAL },
    ],
    services: { init: ['/sbin/init'], ports: [80], timeoutSeconds: 60 },
  });
});

test('every fault of the shape is told at once, in order, with line, column, found and expected', () => {
  const text = `state: ./state
cluster: Demo!
network:
  address: 10.77.0.256
  prefix: 24
  leasSeconds: 60
nodes:
  - { name: node1, mac: 52:54, address: 10.77.0.11 }
  - name: node2
    mac: "52:54:00:00:00:02"
    power: { on: reboot }
`;
  expect(faultsOf(text)).toEqual([
    'c.yaml:2:10: cluster: found "Demo!", expected a cluster name: 1 to 63 of a-z 0-9 . _ -, starting with a letter or digit',
    'c.yaml:4:12: network.address: found "10.77.0.256", expected an IPv4 address such as 10.77.0.11',
    'c.yaml:6:3: network.leasSeconds: found unknown key "leasSeconds", expected one of address, prefix, pool, router, dns, domain, leaseSeconds, nextServer',
    'c.yaml:8:25: nodes[0].mac: found "52:54", expected a MAC address such as 52:54:00:12:34:56',
    'c.yaml:11:18: nodes[1].power.on: found "reboot", expected a list of words: the program and its arguments',
  ]);
});

test('heartbeats and the silence after which a node is lost: defaults, and no loss before three are missed', () => {
  const agents = (section: string) => GOOD.replace('boot:', `agents: ${section}\nboot:`);
  const parsed = (text: string) => parseConfig(text, join(dir, 'c.yaml')).agents;
  expect(parsed(GOOD)).toEqual({ enrolment: 'first', heartbeatSeconds: 10, lostSeconds: 90 });
  expect(parsed(agents('{ heartbeatSeconds: 2, lostSeconds: 7 }'))).toEqual({
    ...{ enrolment: 'first', heartbeatSeconds: 2, lostSeconds: 7 },
  });
  expect(faultsOf(agents('{ heartbeatSeconds: 2, lostSeconds: 6 }'))).toEqual([
    'c.yaml:4:45: agents.lostSeconds: found 6 with a heartbeat each 2 s, expected more than 3 heartbeats (agents.heartbeatSeconds)',
  ]);
  expect(faultsOf(agents('{ heartbeatSeconds: 30 }'))).toHaveLength(1);
  expect(faultsOf(agents('{ heartbeatSeconds: 0.5, lostSeconds: 0 }'))).toHaveLength(2);
});

test('a missing key is told where its section is', () => {
  expect(faultsOf('state: s\ncluster: c\nnetwork:\n  prefix: 24\n')).toEqual([
    'c.yaml:4:3: network.address: found nothing, expected an IPv4 address such as 10.77.0.11',
  ]);
  expect(faultsOf('')).toHaveLength(3);
});

test('text that is not YAML, and a file that is not there', () => {
  expect(faultsOf('state: [\nnodes: }')[0]).toMatch(/^c\.yaml:2:\d+: found .+, expected YAML$/);
  expect(faultsOf('state: a\nstate: b\n')[0]).toMatch(/^c\.yaml:2:1: found .*unique/);
  expect(() => loadConfig(join(dir, 'absent.yaml'))).toThrow(
    /absent\.yaml: found no such file, expected a configuration file/,
  );
});

const HEAD = 'state: s\ncluster: c\nnetwork: { address: 10.0.0.1, prefix: 24 }\n';
const M = 'mac: "52:54:00:00:00:01"';

test.each([
  [
    'node names',
    `${HEAD}nodes:\n  - { name: a, ${M}, address: 10.0.0.2 }\n  - { name: a, uid: serial:1, address: 10.0.0.3 }\n`,
    /^c\.yaml:6:13: nodes\[1\]\.name: found a, already the name of nodes\[0\] \(a\), expected one of its own/,
  ],
  [
    'MACs, whatever their case',
    `${HEAD}nodes:\n  - { name: a, mac: "52:54:00:00:00:0a", address: 10.0.0.2 }\n  - { name: b, mac: "52:54:00:00:00:0A", address: 10.0.0.3 }\n`,
    /^c\.yaml:6:21: nodes\[1\]\.mac: found .*already the mac of nodes\[0\] \(a\)/,
  ],
  [
    'UIDs',
    `${HEAD}nodes:\n  - { name: a, uid: serial:1, address: 10.0.0.2 }\n  - { name: b, uid: SERIAL:1, address: 10.0.0.3 }\n`,
    /nodes\[1\]\.uid: found serial:1, already/,
  ],
  [
    'addresses',
    `${HEAD}nodes:\n  - { name: a, ${M}, address: 10.0.0.2 }\n  - { name: b, uid: serial:1, address: 10.0.0.2 }\n`,
    /nodes\[1\]\.address: found 10\.0\.0\.2, already/,
  ],
  [
    'an address outside the network',
    `${HEAD}nodes: [{ name: a, ${M}, address: 10.0.1.2 }]\n`,
    /4:\d+: nodes\[0\]\.address: found 10\.0\.1\.2, which is outside the network of 10\.0\.0\.1\/24/,
  ],
  [
    "the imager's address",
    `${HEAD}nodes: [{ name: a, ${M}, address: 10.0.0.1 }]\n`,
    /found 10\.0\.0\.1, the imager's own address/,
  ],
  [
    'the broadcast address',
    `${HEAD}nodes: [{ name: a, ${M}, address: 10.0.0.255 }]\n`,
    /which is the broadcast address/,
  ],
  [
    'neither mac nor uid',
    `${HEAD}nodes:\n  - name: a\n    address: 10.0.0.2\n`,
    /^c\.yaml:5:5: nodes\[0\]: found neither mac, uid, clientId nor circuit/,
  ],
  [
    'no address and no pool',
    `${HEAD}nodes: [{ name: a, ${M} }]\n`,
    /no address, and the network has no pool/,
  ],
  [
    'an unknown user configuration',
    `${HEAD}nodes: [{ name: a, ${M}, address: 10.0.0.2, userConfig: wev }]\nuserConfigs: { web: {}, db: {} }\n`,
    /userConfig: found "wev", expected one of web, db$/,
  ],
  [
    'stage 1 without a second reboot',
    `${HEAD}userConfigs:\n  web:\n    scripts:\n      - { name: x, stage: 1, content: "" }\n`,
    /^c\.yaml:7:27: userConfigs\.web\.scripts\[0\]\.stage: found 1 without secondReboot/,
  ],
  [
    'an unreadable script',
    `${HEAD}userConfigs: { web: { scripts: [{ name: x, stage: 2, file: no/such.sh }] } }\n`,
    /scripts\[0\]\.file: found no\/such\.sh: no such file, expected a readable text file/,
  ],
  [
    'a script with neither file nor content',
    `${HEAD}userConfigs: { web: { scripts: [{ name: x, stage: 2 }] } }\n`,
    /scripts\[0\]: found neither file nor content/,
  ],
  [
    'two scripts of one name',
    `${HEAD}userConfigs: { web: { scripts: [{ name: x, stage: 2, content: "" }, { name: x, stage: 2, content: "" }] } }\n`,
    /scripts\[1\]\.name: found x a second time/,
  ],
  [
    'a pool upside down',
    HEAD.replace('24 }', '24, pool: { from: 10.0.0.9, to: 10.0.0.5 } }'),
    /pool\.to: found 10\.0\.0\.5, below 10\.0\.0\.9/,
  ],
  [
    'a pool over the imager',
    HEAD.replace('24 }', '24, pool: { from: 10.0.0.1, to: 10.0.0.5 } }'),
    /pool: found .* which holds the imager's own 10\.0\.0\.1/,
  ],
  [
    'two services on one port',
    `${HEAD}ports: { http: 4747 }\n`,
    /ports\.agent: found 4747, the port of http/,
  ],
])('contradiction: %s', (_what, text, expected) => {
  const faults = faultsOf(text);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(expected);
});

test('a user configuration says what becomes of a failure, a script may say otherwise', () => {
  const scripts = (more: string) =>
    `{ name: a, stage: 2, content: "" }, { name: b, stage: 2, content: "", ${more} }`;
  const text = (more: string) =>
    `${HEAD}userConfigs: { web: { onFailure: stop, scripts: [${scripts(more)}] } }\n`;
  const { userConfigs } = parseConfig(text('run: always, onFailure: continue'), join(dir, 'c.yaml'));
  expect(userConfigs.web?.scripts).toMatchObject([
    { name: 'a', run: 'once', onFailure: 'stop' },
    { name: 'b', run: 'always', onFailure: 'continue' },
  ]);
  expect(faultsOf(text('run: twice, onFailure: panic'))).toEqual([
    expect.stringMatching(/scripts\[1\]\.run: found "twice", expected one of once, always$/),
    expect.stringMatching(/scripts\[1\]\.onFailure: found "panic", expected one of retry, fall-back, /),
  ]);
});

test.each(['10-Site.sh', 'a.new', '../a', ''])('a script cannot be called "%s"', (name) => {
  const text = `${HEAD}userConfigs: { web: { scripts: [{ name: ${JSON.stringify(name)}, stage: 2, content: "" }] } }`;
  expect(faultsOf(text)).toEqual([
    expect.stringMatching(/scripts\[0\]\.name: found .* expected a file name/),
  ]);
});

test('what passes the check passes the protocol: the longest plan reaches its node', () => {
  const scripts = Array.from({ length: 256 }, (_, n) => ({
    name: `${'s'.repeat(59)}.${100 + n}`,
    stage: (n % 2) + 1,
    content: n < 3 ? 'é'.repeat(512 * 1024) : 'x'.repeat(3885),
    timeoutSeconds: 86_400,
    run: 'always',
    onFailure: 'fall-back',
  }));
  const services = {
    init: Array.from({ length: 16 }, () => '日'.repeat(256)),
    ports: Array.from({ length: 16 }, () => 65_535),
    timeoutSeconds: 86_400,
  };
  const web = { secondReboot: true, scripts, services };
  const { userConfigs } = parseConfig(`${HEAD}userConfigs: ${JSON.stringify({ web })}`, join(dir, 'c.yaml'));
  expect(userConfigs.web).toEqual(web);
  const name = 'n'.repeat(63);
  const plan: Plan = { deployment: 'd'.repeat(256), ...userConfigs.web! };
  const welcome = { type: 'welcome', node: name, hostname: name, plan };
  const frames = new FrameReader();
  const [message] = frames.push(encodeFrame(welcome));
  expect(parseImagerMessage(message)).toEqual(welcome);
  expect(planFaults(plan, plan.deployment)).toEqual([]);
});

test('a word of the init command that the protocol cannot carry is a fault', () => {
  const init = ['/bin/sh', '-c', 'x'.repeat(257)];
  expect(faultsOf(`${HEAD}userConfigs: { web: { services: { init: ${JSON.stringify(init)} } } }`)).toEqual([
    expect.stringMatching(
      /userConfigs\.web\.services\.init\[2\]: found .* expected .* at most 256 characters/,
    ),
  ]);
});

test('a fault behind an alias is found where the value is written', () => {
  const text = `${HEAD}userConfigs:\n  a: { services: &s { ports: [99999] } }\n  b: { services: *s }\n`;
  expect(faultsOf(text)).toEqual([
    expect.stringMatching(/^c\.yaml:5:31: userConfigs\.a\.services\.ports\[0\]: found 99999, /),
    expect.stringMatching(/^c\.yaml:5:31: userConfigs\.b\.services\.ports\[0\]: found 99999, /),
  ]);
});

test('several contradictions are told together', () => {
  const text = `${HEAD}nodes:\n  - { name: a, address: 10.9.9.9 }\n  - { name: a, ${M}, address: 10.0.0.1, userConfig: x }\n`;
  expect(faultsOf(text)).toHaveLength(5);
});

test('any text gives a configuration or a ConfigError, with places inside the text', () => {
  const pieces = fc.constantFrom(
    ...GOOD.split(/(?<=[\s{}[\],:"])/),
    '&a ',
    '*a',
    '- ',
    '\t',
    '!!binary ',
    '? ',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40, size: 'max' }), (parts) => {
      const text = parts.join('');
      try {
        parseConfig(text, 'c.yaml');
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        expect(error.faults.length).toBeGreaterThan(0);
        const lines = text.split('\n').length;
        for (const fault of error.faults) {
          expect(fault.line).toBeGreaterThanOrEqual(1);
          expect(fault.line).toBeLessThanOrEqual(lines);
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test('one wrong value in a good file gives exactly that fault', () => {
  writeFileSync(join(dir, 'done.sh'), '');
  fc.assert(
    fc.property(
      fc.constantFrom(['cluster: demo', 2], ['prefix: 24', 3], ['stage: 2', 13], ['timeoutSeconds: 5', 13]),
      fc.constantFrom('{}', '[]', '"?"', '-1', 'true'),
      ([field, line], value) => {
        const key = String(field).split(':')[0];
        const faults = faultsOf(GOOD.replace(String(field), `${key}: ${value}`));
        expect(faults).toHaveLength(1);
        expect(faults[0]).toMatch(new RegExp(`^c\\.yaml:${line}:\\d+: .*${key}: found `));
      },
    ),
  );
});

test.each([
  ['userConfigs: { __proto__: { secondReboot: maybe } }', 'userConfigs.__proto__'],
  ['boot: { files: { __proto__: a.efi } }', 'boot.files.__proto__'],
  [
    'nodes: [{ name: a, mac: "52:54:00:00:00:01", variables: { __proto__: x } }]',
    'nodes[0].variables.__proto__',
  ],
])('a name that is a prototype key is no name: %s', (section, path) => {
  const head =
    'state: s\ncluster: c\nnetwork: { address: 10.77.0.1, prefix: 24, pool: { from: 10.77.0.9, to: 10.77.0.9 } }\n';
  const column = section.indexOf('__proto__') + 1;
  expect(faultsOf(`${head}${section}\n`)).toEqual([
    `c.yaml:4:${column}: ${path}: found "__proto__", expected another name`,
  ]);
});

const LONG = 'long'.repeat(100);
test.each([
  ['templates: nodes.txt/menus', 'nodes.txt/menus: no such file', 'a folder'],
  [`templates: ${LONG}`, `${LONG}: ENAMETOOLONG: name too long`, 'a folder'],
  ['templates: round/menus', 'round/menus: ELOOP: too many symbolic links encountered', 'a folder'],
])('a path the system will not look at: %.30s', (section, found, expected) => {
  writeFileSync(join(dir, 'nodes.txt'), '');
  rmSync(join(dir, 'round'), { force: true });
  symlinkSync('round', join(dir, 'round'));
  expect(faultsOf(GOOD.replace('boot:', `${section}\nboot:`))).toEqual([
    `c.yaml:4:12: templates: found ${found}, expected ${expected}`,
  ]);
});

test.each([
  [
    'circuit: 0x1a2b',
    '0x1a2b',
    'a circuit id: hexadecimal such as 0x1a2b or 1a:2b, or printable ASCII text; at most 247 bytes',
  ],
  ['serial: 12345678', '12345678', 'a board serial number: at most 32 letters and digits'],
  ['serial: 1e5', '1e5', 'a board serial number: at most 32 letters and digits'],
  ['variables: { console: true }', 'true', 'a text of at most 1024 characters'],
])('what YAML takes for a number is told as it is written, and to be text: %s', (field, found, expected) => {
  const [name, inner = ''] = field.split(/: /);
  const text = GOOD.replace('address: 10.77.0.11', `address: 10.77.0.11, ${field}`);
  const at = text.split('\n')[5]!.indexOf(found, text.split('\n')[5]!.indexOf(field)) + 1;
  const path = inner.startsWith('{') ? `${name}.console` : name;
  expect(faultsOf(text)).toEqual([
    `c.yaml:6:${at}: nodes[0].${path}: found ${found}, expected ${expected}, in quotes`,
  ]);
});

test('one anchor serves a thousand nodes; aliases that multiply are refused', () => {
  const nodes = Array.from(
    { length: 1000 },
    (_, at) =>
      `  - { name: n${at}, uid: "serial:${at}", power: ${at === 0 ? '&ipmi { off: [a, b] }' : '*ipmi'} }`,
  );
  const many = GOOD.replace(/nodes:\n(?: .*\n)*/, `nodes:\n${nodes.join('\n')}\n`);
  expect(parseConfig(many, join(dir, 'c.yaml')).nodes[999]?.power).toEqual({ off: ['a', 'b'] });
  const laughs = Array.from({ length: 9 }, (_, at) => {
    const ten = Array.from({ length: 10 }, () => (at === 0 ? 'ha' : `*l${at - 1}`));
    return `  l${at}: &l${at} [${ten.join(', ')}]`;
  });
  expect(faultsOf(`state: s\nextra:\n${laughs.join('\n')}\n`)).toEqual([
    expect.stringMatching(/^c\.yaml:1:1: .*expected YAML without excessive aliases$/),
  ]);
});

test('a tag that nobody resolves is a fault, not text', () => {
  expect(faultsOf(GOOD.replace('cluster: demo', 'cluster: !env demo'))).toEqual([
    'c.yaml:2:10: found Unresolved tag: !env, expected YAML',
  ]);
});
