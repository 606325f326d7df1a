#include "slot.h"

#include "crc32.h"

enum { CRC = 4, BODY = 8, ATTEMPTS = 10, PHASE = 11, SEQUENCE = 12, TEXTS = 16, TEXT = 63, ID = 32 };

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static int all(const uint8_t *bytes, uint32_t length, uint8_t value) {
  for (uint32_t i = 0; i < length; i++)
    if (bytes[i] != value) return 0;
  return 1;
}

/* --- Reading --- */

struct reader {
  const uint8_t *at, *end;
  int wrong;
};

static uint8_t byte(struct reader *in) {
  if (in->at == in->end) {
    in->wrong = 1;
    return 0;
  }
  return *in->at++;
}

static int plain(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}

/* agent/protocol/names.ts: they become parts of paths. */
static int is_name(const char *text) {
  if (!plain(text[0])) return 0;
  for (; *text != 0; text++) {
    if (!plain(*text) && *text != '.' && *text != '_' && *text != '-') return 0;
    if (text[0] == '.' && text[1] == '.') return 0;
  }
  return 1;
}

static int is_id(const char *text) {
  const char *at = text;
  while (plain(*at)) at++;
  return at != text && *at == 0;
}

/* At most `most` bytes, and a zero. */
static void text(struct reader *in, char *to, uint32_t most) {
  uint32_t length = byte(in);
  if (length > most || (uint32_t)(in->end - in->at) < length) {
    in->wrong = 1;
    length = 0;
  }
  for (uint32_t i = 0; i < length; i++) {
    to[i] = (char)*in->at++;
    /* No name has one, and it would end the text here. */
    if (to[i] == 0) in->wrong = 1;
  }
  to[length] = 0;
}

static void name(struct reader *in, char *to) {
  text(in, to, TEXT);
  if (!is_name(to)) in->wrong = 1;
}

static uint8_t count(struct reader *in, uint8_t least, uint8_t most) {
  uint8_t items = byte(in);
  if (items >= least && items <= most) return items;
  in->wrong = 1;
  return 0;
}

static int read_texts(struct reader *in, struct bw_record *record) {
  name(in, record->image);
  name(in, record->cluster);
  text(in, record->deployment, ID);
  if (!is_id(record->deployment)) in->wrong = 1;
  text(in, record->fallback, TEXT);
  if (record->fallback[0] != 0 && !is_name(record->fallback)) in->wrong = 1;
  record->imagers = count(in, 1, BW_IMAGERS);
  for (int i = 0; i < record->imagers; i++)
    for (int j = 0; j < 4; j++) record->imager[i][j] = byte(in);
  record->disks = count(in, 0, BW_DISKS);
  for (int i = 0; i < record->disks; i++) name(in, record->disk[i]);
  return !in->wrong && in->at == in->end;
}

enum bw_slot bw_slot_read(const uint8_t *bytes, uint32_t size, struct bw_record *record) {
  if (size < TEXTS) return BW_TORN;
  if (all(bytes, size, 0) || all(bytes, size, 0xff)) return BW_EMPTY;
  uint32_t length = (uint32_t)bytes[BODY] | (uint32_t)bytes[BODY + 1] << 8;
  if (bytes[0] != 'B' || bytes[1] != 'W' || bytes[2] != 'P' || bytes[3] != '1') return BW_TORN;
  if (length < TEXTS - BODY || BODY + length > size) return BW_TORN;
  if (get32(bytes + CRC) != bw_crc32(bytes + BODY, length)) return BW_TORN;
  record->sequence = get32(bytes + SEQUENCE);
  record->attempts = bytes[ATTEMPTS];
  record->phase = bytes[PHASE];
  struct reader in = {bytes + TEXTS, bytes + BODY + length, record->phase > BW_READY};
  return read_texts(&in, record) ? BW_VALID : BW_INVALID;
}

/* --- Writing --- */

/* Counts what has no room, and leaves it out. */
struct writer {
  uint8_t *bytes;
  uint32_t at, size;
};

static void put(struct writer *out, uint8_t value) {
  if (out->at < out->size) out->bytes[out->at] = value;
  out->at++;
}

static void put_text(struct writer *out, const char *text) {
  uint32_t length = 0;
  while (text[length] != 0) length++;
  put(out, (uint8_t)length);
  while (*text != 0) put(out, (uint8_t)*text++);
}

static void put_texts(struct writer *out, const struct bw_record *record) {
  put_text(out, record->image);
  put_text(out, record->cluster);
  put_text(out, record->deployment);
  put_text(out, record->fallback);
  put(out, record->imagers);
  for (int i = 0; i < record->imagers; i++)
    for (int j = 0; j < 4; j++) put(out, record->imager[i][j]);
  put(out, record->disks);
  for (int i = 0; i < record->disks; i++) put_text(out, record->disk[i]);
}

uint32_t bw_slot_write(const struct bw_record *record, uint8_t *bytes, uint32_t size) {
  struct writer measure = {bytes, TEXTS, 0};
  put_texts(&measure, record);
  if (measure.at > size) return 0;
  struct writer out = {bytes, TEXTS, size};
  put_texts(&out, record);
  uint32_t length = out.at - BODY;
  for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)"BWP1"[i];
  bytes[BODY] = (uint8_t)length;
  bytes[BODY + 1] = (uint8_t)(length >> 8);
  bytes[ATTEMPTS] = record->attempts;
  bytes[PHASE] = record->phase;
  put32(bytes + SEQUENCE, record->sequence);
  put32(bytes + CRC, bw_crc32(bytes + BODY, length));
  return out.at;
}
