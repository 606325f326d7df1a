#include "smbios.h"

#include "../smbios/identity.h"

/* The BIOS's segment, in which an entry point begins at a multiple of 16 (DSP0134 section 5.2). */
enum { BIOS = 0xf0000, BIOS_END = 0x100000, PARAGRAPH = 16 };

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int begins(const uint8_t *at, const char *text) {
  for (; *text != 0; text++, at++)
    if (*at != (uint8_t)*text) return 0;
  return 1;
}

static int sums_to_zero(const uint8_t *at, uint32_t length) {
  uint8_t sum = 0;
  while (length-- > 0) sum = (uint8_t)(sum + *at++);
  return sum == 0;
}

/* The structures that the entry point at `at` names, their length and version; 0 where there is none, or they lie above 4 GiB. */
static const uint8_t *structures(const uint8_t *at, uint32_t *length, uint32_t *version) {
  if (begins(at, "_SM3_") && at[6] >= 24 && at + at[6] <= (const uint8_t *)BIOS_END && sums_to_zero(at, at[6]) &&
      get32(at + 20) == 0) {
    *version = 0x300;
    *length = get32(at + 12);
    return (const uint8_t *)get32(at + 16);
  }
  if (at + 31 <= (const uint8_t *)BIOS_END && begins(at, "_SM_") && begins(at + 16, "_DMI_") &&
      sums_to_zero(at + 16, 15)) {
    *version = (uint32_t)at[6] << 8 | at[7];
    *length = (uint32_t)at[22] | (uint32_t)at[23] << 8;
    return (const uint8_t *)get32(at + 24);
  }
  return 0;
}

const char *hardware_uid(void) {
  static struct bw_identity identity;
  identity.uid[0] = 0;
  /* A table that gives nothing may be a copy that was left, or no table: the next one may. */
  for (uint32_t at = BIOS; at < BIOS_END && identity.uid[0] == 0; at += PARAGRAPH) {
    uint32_t length, version;
    const uint8_t *found = structures((const uint8_t *)at, &length, &version);
    if (found != 0) bw_identity_read(found, length, version, &identity);
  }
  return identity.uid;
}
