#include "identity.h"

enum { SYSTEM = 1, END = 127, SERIAL_NUMBER = 7, UUID = 8 };
enum { LONGEST_SERIAL = 63 };

/* Number of the byte that stands at each place of the text: the first three fields are little-endian (7.2.1). */
static const uint8_t ORDER[BW_UUID] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};

static char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

static int plain(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

/*
 * Before SMBIOS 2.6 all fields of the UUID are taken as big-endian, which is how Linux shows it (dmi_save_uuid). 2.31 and
 * 2.33 are what some BIOSes say who mean 2.3 (smbios_present).
 */
static int is_big_endian(uint32_t version) {
  return version < 0x206 || version == 0x21f || version == 0x221;
}

/* Boards ship all zeroes or all ones where nobody set it. */
static int take_uuid(const uint8_t *bytes, uint32_t version, struct bw_identity *identity) {
  int same = bytes[0] == 0 || bytes[0] == 0xff;
  for (int i = 0; i < BW_UUID; i++) same = same && bytes[i] == bytes[0];
  if (same) return 0;
  for (int i = 0; i < BW_UUID; i++) identity->uuid[i] = bytes[is_big_endian(version) ? ORDER[i] : i];
  char *to = identity->uid;
  for (int i = 0; i < BW_UUID; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    *to++ = "0123456789abcdef"[identity->uuid[ORDER[i]] >> 4];
    *to++ = "0123456789abcdef"[identity->uuid[ORDER[i]] & 15];
  }
  *to = 0;
  return 1;
}

/* Text number `number` of those behind a structure. Spaces around it do not count. */
static void take_serial(const uint8_t *strings, const uint8_t *end, int number, struct bw_identity *identity) {
  const uint8_t *at = strings;
  while (number > 1 && at < end && *at != 0) {
    while (at < end && *at != 0) at++;
    if (at < end) at++;
    number--;
  }
  if (number != 1) return;
  while (at < end && *at == ' ') at++;
  const char *prefix = "serial:";
  char *to = identity->uid;
  while (*prefix != 0) *to++ = *prefix++;
  char *first = to;
  for (; at < end && *at != 0 && *at != ' '; at++) {
    char letter = lower((char)*at);
    int fits = plain(letter) || (to != first && (letter == '.' || letter == '_' || letter == ':' || letter == '-'));
    if (!fits || to - first == LONGEST_SERIAL) {
      identity->uid[0] = 0;
      return;
    }
    *to++ = letter;
  }
  while (at < end && *at == ' ') at++;
  *to = 0;
  /* A space within it makes it no UID, and so does nothing at all. */
  if (to == first || (at < end && *at != 0)) identity->uid[0] = 0;
}

void bw_identity_read(const uint8_t *structures, uint32_t length, uint32_t version, struct bw_identity *identity) {
  identity->uid[0] = 0;
  for (int i = 0; i < BW_UUID; i++) identity->uuid[i] = 0;
  const uint8_t *at = structures, *end = structures + length;
  while (end - at >= 4 && at[0] != END) {
    uint32_t formatted = at[1];
    if (formatted < 4 || (uint32_t)(end - at) < formatted) return;
    const uint8_t *strings = at + formatted;
    if (at[0] == SYSTEM) {
      if (formatted >= UUID + BW_UUID && take_uuid(at + UUID, version, identity)) return;
      if (formatted > SERIAL_NUMBER) take_serial(strings, end, at[SERIAL_NUMBER], identity);
      return;
    }
    /* Two zeroes end the texts, also where there are none. */
    while (end - strings >= 2 && (strings[0] != 0 || strings[1] != 0)) strings++;
    at = end - strings >= 2 ? strings + 2 : end;
  }
}
