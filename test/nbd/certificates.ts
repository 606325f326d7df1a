/** Certificates and keys for tests of TLS, as files that libnbd, qemu and nbd-client read. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Certificates in folders of their own, named as libnbd and qemu look for them. */
export class Authority {
  readonly #dir: string;

  /** Makes a CA in `dir`. */
  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir);
    const subject = ['-subj', '/CN=Test CA', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
    openssl(
      dir,
      'req',
      '-x509',
      '-days',
      '2',
      ...NEW_KEY,
      '-keyout',
      'ca-key.pem',
      ...subject,
      '-out',
      'ca-cert.pem',
    );
  }

  get ca(): string {
    return join(this.#dir, 'ca-cert.pem');
  }

  /** A folder with ca-cert.pem, and certificate and key of `subject` as KIND-cert.pem and KIND-key.pem. */
  issue(kind: 'server' | 'client', subject: string): string {
    const dir = join(this.#dir, randomBytes(4).toString('hex'));
    mkdirSync(dir);
    const [key, cert] = [`${kind}-key.pem`, `${kind}-cert.pem`];
    openssl(dir, 'req', ...NEW_KEY, '-keyout', key, '-subj', subject, '-out', 'request.pem');
    const names = kind === 'server' ? 'subjectAltName=IP:127.0.0.1,IP:10.77.0.1,DNS:localhost\n' : '';
    writeFileSync(join(dir, 'extensions'), `extendedKeyUsage=${kind}Auth\n${names}`);
    const by = ['-CA', this.ca, '-CAkey', join(this.#dir, 'ca-key.pem'), '-CAcreateserial'];
    openssl(
      dir,
      'x509',
      '-req',
      '-days',
      '1',
      '-in',
      'request.pem',
      ...by,
      '-extfile',
      'extensions',
      '-out',
      cert,
    );
    writeFileSync(join(dir, 'ca-cert.pem'), readFileSync(this.ca));
    return dir;
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(cwd: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd, stdio: 'pipe' });
}

/** Writes a file of pre-shared keys as GnuTLS' psktool does; gives the keys. */
export function writeKeys(path: string, names: readonly string[]): Map<string, Buffer> {
  const keys = new Map(names.map((name) => [name, randomBytes(32)]));
  writeFileSync(path, [...keys].map(([name, key]) => `${name}:${key.toString('hex')}\n`).join(''));
  return keys;
}
