/*
 * What the frames of the serial protocol are made of (agent/protocol/serial/README.md): COBS, and what the protocol has of CBOR
 * (RFC 8949 section 3): arrays, unsigned integers, byte and text strings. Freestanding C99.
 */
#ifndef BW_ENCODING_H
#define BW_ENCODING_H

#include <stdint.h>

/* Gives the length of what was encoded by COBS; -1 where it is no encoding, or longer than `most`. */
int32_t bw_unstuff(const uint8_t *in, uint32_t length, uint8_t *out, uint32_t most);
/* Gives the length of the encoding: at most `length` + `length` / 254 + 1. */
uint32_t bw_stuff(const uint8_t *in, uint32_t length, uint8_t *out);

struct bw_reader {
  const uint8_t *at, *end;
  /* Not 0 once something else was found than was asked for, or the end. */
  int wrong;
};

/* The argument of an item of this major type; 0 where it is none. */
uint32_t bw_head(struct bw_reader *in, int major);
uint32_t bw_uint(struct bw_reader *in);
/* A byte string, where it lies. */
const uint8_t *bw_string(struct bw_reader *in, uint32_t *length);

/* There is room for what is put: the caller knows how much comes. */
struct bw_writer {
  uint8_t *at;
};

void bw_put_head(struct bw_writer *out, int major, uint32_t value);
/* A byte string (major type 2) or a text (3). */
void bw_put_bytes(struct bw_writer *out, int major, const uint8_t *bytes, uint32_t length);
/* Up to its zero; 64 characters at most. */
void bw_put_text(struct bw_writer *out, const char *text);

#endif
