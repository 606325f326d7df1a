import { expect, test } from 'vitest';
import { debianSources } from '../../imager/images/apt-sources.ts';

const sources = (name: string, text: string) => debianSources([{ name, text }], 'bookworm');

test('a deb822 file of Debian is taken over, main alone, whatever it says of architectures', () => {
  const text = `# written by the installer
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Architectures: amd64
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`;
  expect(sources('/etc/apt/sources.list.d/debian.sources', text)).toBe(`Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
`);
});

test('a one-line file is taken over with its key', () => {
  const text = `deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main # own
deb-src http://mirror.example/debian bookworm main
#deb http://mirror.example/debian bookworm-updates main
deb mirror+file:/etc/apt/mirrors/debian.list bookworm-security main
`;
  expect(sources('/etc/apt/sources.list', text)).toBe(`Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: mirror+file:/etc/apt/mirrors/debian.list
Suites: bookworm-security
Components: main
`);
});

test('a key inside the file keeps its lines', () => {
  const key = ' -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ==\n -----END PGP PUBLIC KEY BLOCK-----';
  const text = `Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n${key}\n`;
  expect(sources('debian.sources', text)).toContain(`Signed-By:\n${key}\n`);
});

test.each([
  ['another key', 'deb [signed-by=/usr/share/keyrings/other.gpg] http://mirror.example/debian bookworm main'],
  ['another archive', 'deb http://packages.example/apt bookworm main'],
  ['another release', 'deb http://mirror.example/debian trixie main'],
  ['no main', 'deb http://mirror.example/debian bookworm contrib'],
  ['a disc', 'deb cdrom:[Debian]/ bookworm main'],
  ['nothing', ''],
])('a file with %s is refused, by name', (_, text) => {
  expect(() => sources('/etc/apt/x.list', text)).toThrow(
    /none of this machine's apt sources.*bookworm.*x\.list/,
  );
});

test('a stanza that is switched off is left out', () => {
  const text =
    'Enabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\nComponents: main\n';
  expect(() => sources('x.sources', text)).toThrow(/none of/);
});
