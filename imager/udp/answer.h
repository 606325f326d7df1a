/* An answer that leaves as soon as what it answers has come in, before JavaScript hears of that. */
#ifndef ANSWER_H
#define ANSWER_H

#include "address.h"

#include <stddef.h>

/* Longest question. */
enum { QUESTION = 16 };

struct answer {
  uint8_t question[QUESTION];
  size_t asked;
  bool expected;
  /* Whose question it is. */
  union place place;
  socklen_t size;
  uint8_t *bytes;
  size_t length, room;
};

/* Bytes and where they come from or go to. */
struct datagram {
  const uint8_t *bytes;
  size_t length;
  const union place *place;
};

/*
 * Expects `question` to be the next datagram, and makes a copy of the `length` bytes its answer. Expects nothing where the
 * question is too long or there is no memory.
 */
void expect_question(struct answer *answer, const struct datagram *question, socklen_t size, const uint8_t *bytes,
                     size_t length);

/* Whether this datagram, the next, is what was expected. Nothing is expected any more. */
bool is_question(struct answer *answer, const struct datagram *next);

/* Sends it where the question came from. Gives whether that could be done. */
bool send_answer(const struct answer *answer, int fd);

void drop_answer(struct answer *answer);

#endif
