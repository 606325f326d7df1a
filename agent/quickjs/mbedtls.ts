/**
 * The sources of Mbed TLS that the agent has TLS and signatures of: Debian's, in build/cache/mbedtls/tree, compiled with our
 * choice of what is in it (mbedtls_config.h). Nothing of it is in this repository.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianSource } from './debian-source.ts';

const FILES = (
  'asn1parse asn1write bignum bignum_core chacha20 chachapoly cipher cipher_wrap constant_time ecdh ecdsa ecp ecp_curves ' +
  'md platform_util poly1305 psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client ' +
  'psa_crypto_driver_wrappers_no_static psa_crypto_ecp psa_crypto_hash psa_crypto_mac psa_crypto_rsa ' +
  'psa_crypto_slot_management psa_util sha256 ssl_ciphersuites ssl_client ssl_msg ssl_tls ssl_tls13_client ' +
  'ssl_tls13_generic ssl_tls13_keys'
).split(' ');

export interface MbedTls {
  /** Its sources that are compiled. */
  files: string[];
  /** For whatever includes its headers. */
  flags: string[];
  /** What the objects depend on beside their source and `flags`. */
  inputs: string[];
}

/**
 * Downloads the sources where they are not in `cache` (8 MB once). `config`: our mbedtls_config.h. Rejects as debianSource() does.
 */
export async function mbedTls(
  cache: string,
  config: string,
  script: string,
  progress: (line: string) => void,
): Promise<MbedTls> {
  const tree = await debianSource(cache, script, 'mbedtls', '3\\.6\\.', progress);
  return {
    files: FILES.map((name) => join(tree, 'library', `${name}.c`)),
    flags: ['-isystem', join(tree, 'include'), `-DMBEDTLS_CONFIG_FILE="${config}"`],
    inputs: [readFileSync(config, 'utf8'), readFileSync(join(tree, 'include/mbedtls/build_info.h'), 'utf8')],
  };
}
