/** Keys and certificates of NBD over TLS, read from where the configuration says. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { NbdTlsConfig } from '../model/config.ts';
import { readTlsFiles } from './tls-files.ts';

/** What the NBD server takes. */
export interface NbdTlsKeys {
  mode: 'allowed' | 'required';
  x509?: { cert: Buffer; key: Buffer; ca: Buffer };
  psk?: Map<string, Buffer>;
}

/** RFC 4279 section 5.3 and GnuTLS: keys up to 64 bytes; below 16 a key can be guessed. */
const [SHORTEST, LONGEST] = [16, 64];

/** Reads what `config` names. Rejects with Error that names the file, and the line in it. */
export async function readNbdTls(config: NbdTlsConfig): Promise<NbdTlsKeys> {
  const { mode, x509, psk } = config;
  const keys: NbdTlsKeys = { mode };
  if (x509 !== undefined) {
    const ca = await load('ca', x509.ca);
    try {
      new X509Certificate(ca);
    } catch (error) {
      throw new Error(`nbd.tls.ca: ${x509.ca} is no PEM certificate`, { cause: error });
    }
    keys.x509 = { ...(await readTlsFiles('nbd.tls', x509)), ca };
  }
  if (psk !== undefined) keys.psk = parseKeys((await load('psk', psk)).toString(), psk);
  return keys;
}

/** Without the system's code, which at a server's start is about its port. */
async function load(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`nbd.tls.${setting}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Pre-shared keys as GnuTLS' psktool writes them: NAME:HEXADECIMAL a line. `file` names them in errors. Throws Error for
 * lines that are not so, names that come twice, keys that are too short or too long, and no keys at all.
 */
export function parseKeys(text: string, file: string): Map<string, Buffer> {
  const keys = new Map<string, Buffer>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const fault = (why: string) => new Error(`${file}:${index + 1}: ${why}`);
    const [, name, hex] = /^([^:\s]+):((?:[0-9a-f]{2})+)$/i.exec(line.trim()) ?? [];
    if (name === undefined || hex === undefined) throw fault('not NAME:KEY with a hexadecimal key');
    const key = Buffer.from(hex, 'hex');
    if (key.length < SHORTEST || key.length > LONGEST)
      throw fault(`a key of ${key.length} bytes; it has ${SHORTEST} to ${LONGEST}`);
    if (keys.has(name)) throw fault(`${name} a second time`);
    keys.set(name, key);
  }
  if (keys.size === 0) throw new Error(`${file}: no keys`);
  return keys;
}
