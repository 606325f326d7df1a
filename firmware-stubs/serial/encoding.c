#include "encoding.h"

enum { TEXT = 64 };

int32_t bw_unstuff(const uint8_t *in, uint32_t length, uint8_t *out, uint32_t most) {
  uint32_t at = 0, made = 0;
  while (at < length) {
    uint32_t code = in[at], next = at + code;
    if (code == 0 || next > length) return -1;
    for (at++; at < next; at++) {
      if (made == most) return -1;
      out[made++] = in[at];
    }
    if (code <= 254 && at < length) {
      if (made == most) return -1;
      out[made++] = 0;
    }
  }
  return (int32_t)made;
}

uint32_t bw_stuff(const uint8_t *in, uint32_t length, uint8_t *out) {
  uint32_t code = 0, at = 1;
  for (uint32_t i = 0; i < length; i++) {
    if (at - code - 1 == 254) {
      out[code] = (uint8_t)(at - code);
      code = at++;
    }
    if (in[i] == 0) {
      out[code] = (uint8_t)(at - code);
      code = at++;
    } else
      out[at++] = in[i];
  }
  out[code] = (uint8_t)(at - code);
  return at;
}

uint32_t bw_head(struct bw_reader *in, int major) {
  if (in->at == in->end || *in->at >> 5 != major) {
    in->wrong = 1;
    return 0;
  }
  uint32_t info = *in->at++ & 31, value = 0;
  if (info < 24) return info;
  uint32_t size = info == 24 ? 1 : info == 25 ? 2 : info == 26 ? 4 : 0;
  if (size == 0 || (uint32_t)(in->end - in->at) < size) {
    in->wrong = 1;
    return 0;
  }
  while (size-- > 0) value = value << 8 | *in->at++;
  return value;
}

uint32_t bw_uint(struct bw_reader *in) {
  return bw_head(in, 0);
}

const uint8_t *bw_string(struct bw_reader *in, uint32_t *length) {
  *length = bw_head(in, 2);
  if (in->wrong || (uint32_t)(in->end - in->at) < *length) {
    in->wrong = 1;
    *length = 0;
    return in->at;
  }
  in->at += *length;
  return in->at - *length;
}

void bw_put_head(struct bw_writer *out, int major, uint32_t value) {
  int size = value < 24 ? 0 : value <= 0xff ? 1 : value <= 0xffff ? 2 : 4;
  *out->at++ = (uint8_t)(major << 5 | (size == 0 ? (int)value : size == 1 ? 24 : size == 2 ? 25 : 26));
  while (size-- > 0) *out->at++ = (uint8_t)(value >> 8 * size);
}

void bw_put_bytes(struct bw_writer *out, int major, const uint8_t *bytes, uint32_t length) {
  bw_put_head(out, major, length);
  for (uint32_t i = 0; i < length; i++) *out->at++ = bytes[i];
}

void bw_put_text(struct bw_writer *out, const char *text) {
  uint32_t length = 0;
  while (length < TEXT && text[length] != 0) length++;
  bw_put_bytes(out, 3, (const uint8_t *)text, length);
}
