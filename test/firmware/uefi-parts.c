/*
 * firmware-stubs/uefi/manifest.c and firmware-stubs/smbios on standard input: 'm' or 'i', a length (4 bytes, little-endian),
 * SMBIOS's version (2 bytes, little-endian), bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../firmware-stubs/smbios/identity.h"
#include "../../firmware-stubs/uefi/manifest.h"

/* Printable text without quotes and backslashes alone comes out of either. */
static void print_manifest(const char *text, uint32_t length) {
  struct manifest manifest;
  if (!manifest_read(text, length, &manifest)) {
    puts("null");
    return;
  }
  printf("{\"kernel\":\"%s\",\"initrd\":\"%s\",\"args\":\"", manifest.kernel, manifest.initrd);
  for (const char *at = manifest.args; *at != 0; at++) printf("\\u%04x", (unsigned char)*at);
  puts("\"}");
}

static void print_identity(const uint8_t *bytes, uint32_t length, uint32_t version) {
  struct bw_identity identity;
  bw_identity_read(bytes, length, version, &identity);
  printf("{\"uid\":\"%s\",\"uuid\":\"", identity.uid);
  for (int i = 0; i < BW_UUID; i++) printf("%02x", identity.uuid[i]);
  puts("\"}");
}

int main(void) {
  uint8_t head[7];
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    uint32_t length = head[1] | head[2] << 8 | head[3] << 16 | (uint32_t)head[4] << 24;
    /* Just as long as they are: a read beyond the end is caught. */
    uint8_t *bytes = malloc(length == 0 ? 1 : length);
    if (fread(bytes, 1, length, stdin) != length) return 1;
    if (head[0] == 'm') print_manifest((const char *)bytes, length);
    else print_identity(bytes, length, head[5] | head[6] << 8);
    free(bytes);
  }
  return 0;
}
