#include "identity.h"

#include <stdint.h>

enum { SYSTEM = 1, END = 127, UUID_AT = 8, SERIAL_AT = 7, LONGEST_SERIAL = 63 };

static char uid[8 + LONGEST_SERIAL];

struct table {
  const uint8_t *at, *end;
};

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int sums_to_zero(const uint8_t *at, uint32_t length) {
  uint8_t sum = 0;
  while (length-- > 0) sum = (uint8_t)(sum + *at++);
  return sum == 0;
}

static int begins(const uint8_t *at, const char *text) {
  for (; *text != 0; text++, at++)
    if (*at != (uint8_t)*text) return 0;
  return 1;
}

/* The entry point lies on a multiple of 16 in the BIOS's segment (DSP0134 section 5.2). */
static struct table find_table(void) {
  for (uint32_t place = 0xf0000; place < 0x100000; place += 16) {
    const uint8_t *at = (const uint8_t *)place;
    uint32_t most = 0x100000 - place;
    if (begins(at, "_SM3_") && at[6] <= most && sums_to_zero(at, at[6]) && get32(at + 20) == 0)
      return (struct table){(const uint8_t *)get32(at + 16), (const uint8_t *)(get32(at + 16) + get32(at + 12))};
    if (begins(at, "_SM_") && begins(at + 16, "_DMI_") && sums_to_zero(at + 16, 15)) {
      const uint8_t *first = (const uint8_t *)get32(at + 24);
      return (struct table){first, first + (at[22] | at[23] << 8)};
    }
  }
  return (struct table){0, 0};
}

/* The strings behind a structure end with an empty one (DSP0134 section 6.1.3). */
static const uint8_t *behind(const uint8_t *structure, const uint8_t *end) {
  const uint8_t *at = structure + structure[1];
  while (at + 1 < end && (at[0] != 0 || at[1] != 0)) at++;
  return at + 2;
}

static int is_set(const uint8_t *uuid) {
  int zeroes = 0, ones = 0;
  for (int i = 0; i < 16; i++) {
    zeroes += uuid[i] == 0;
    ones += uuid[i] == 0xff;
  }
  return zeroes < 16 && ones < 16;
}

/* The first three fields are little-endian (DSP0134 section 7.2.1). */
static void take_uuid(const uint8_t *uuid) {
  static const uint8_t ORDER[] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
  char *to = uid;
  for (int i = 0; i < 16; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = "0123456789abcdef"[uuid[ORDER[i]] >> 4];
    *to++ = "0123456789abcdef"[uuid[ORDER[i]] & 15];
  }
  *to = 0;
}

static int letter_fits(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '.' || letter == '_' ||
         letter == ':' || letter == '-';
}

/* String `number` of a structure, without the spaces around it. Nothing where it is no serial number. */
static void take_serial(const uint8_t *structure, int number, const uint8_t *end) {
  const uint8_t *at = structure + structure[1];
  if (number == 0) return;
  while (--number > 0) {
    while (at < end && *at != 0) at++;
    at++;
  }
  while (at < end && *at == ' ') at++;
  char text[LONGEST_SERIAL + 1];
  int length = 0;
  for (; at < end && *at != 0 && length <= LONGEST_SERIAL; at++)
    text[length++] = (char)(*at >= 'A' && *at <= 'Z' ? *at + 32 : *at);
  while (length > 0 && text[length - 1] == ' ') length--;
  if (length == 0 || length > LONGEST_SERIAL || !letter_fits(text[0])) return;
  if (text[0] == '.' || text[0] == '_' || text[0] == ':' || text[0] == '-') return;
  for (int i = 0; i < length; i++)
    if (!letter_fits(text[i])) return;
  for (int i = 0; i < 7; i++) uid[i] = "serial:"[i];
  for (int i = 0; i < length; i++) uid[7 + i] = text[i];
  uid[7 + length] = 0;
}

const char *hardware_uid(void) {
  struct table table = find_table();
  uid[0] = 0;
  for (const uint8_t *at = table.at; at != 0 && at + 4 <= table.end && at[0] != END; at = behind(at, table.end)) {
    if (at[1] < 4 || at + at[1] > table.end) break;
    if (at[0] != SYSTEM) continue;
    if (at[1] >= UUID_AT + 16 && is_set(at + UUID_AT)) take_uuid(at + UUID_AT);
    else if (at[1] > SERIAL_AT) take_serial(at, at[SERIAL_AT], table.end);
    break;
  }
  return uid;
}
