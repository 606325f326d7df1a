/** Certificates and keys of HTTPS and of NBD over TLS, looked at before a server is started with them. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';

/**
 * Reads the PEM files of `section` of the configuration. Rejects with an Error that names the setting and the file: one
 * that cannot be read, is no certificate or no key, is locked by a passphrase, or does not belong to the other.
 */
export async function readTlsFiles(
  section: 'https' | 'nbd.tls',
  { cert, key }: { cert: string; key: string },
  read: (path: string) => Promise<Buffer> = readFile,
): Promise<{ cert: Buffer; key: Buffer }> {
  // Without the system's code, which at a server's start is about its port.
  const load = (setting: string, path: string) =>
    read(path).catch((error: Error) => {
      throw new Error(`${setting}: ${error.message}`, { cause: error });
    });
  const files = { cert: await load(`${section}.cert`, cert), key: await load(`${section}.key`, key) };
  check({ cert: files.cert }, `${section}.cert: ${cert} is no PEM certificate`);
  check({ key: files.key }, `${section}.key: ${key} is no PEM key without a passphrase`);
  // OpenSSL's contexts take a key of another kind than the certificate's.
  if (!new X509Certificate(files.cert).checkPrivateKey(createPrivateKey(files.key)))
    throw new Error(`${section}.key: ${key} is not the key of ${cert}`);
  return files;
}

function check(files: { cert?: Buffer; key?: Buffer }, words: string): void {
  try {
    createSecureContext(files);
  } catch (error) {
    throw new Error(`${words} (${(error as Error).message})`, { cause: error });
  }
}
