/*
 * Answers that leave as soon as what they answer has come in, before JavaScript hears of it: a series of questions and
 * answers that are numbered, each number one higher than the last.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include "address.h"

#include <stddef.h>

/* Longest question, and longest head of an answer. */
enum { QUESTION = 16 };

/* Bytes and where they come from or go to. */
struct datagram {
  const uint8_t *bytes;
  size_t length;
  const union place *place;
};

struct series {
  /* The next question and the head of its answer. The number is in the last two bytes of both, big-endian. */
  uint8_t question[QUESTION], head[QUESTION];
  size_t asked, headed;
  /* What follows on the heads: `part` bytes each, the last of what is left. Somebody else's memory. */
  const uint8_t *bodies;
  size_t left, part;
  /* How many questions are still to come. */
  uint32_t expected;
  /* Whose they are. */
  union place place;
  socklen_t size;
  /* How many were answered that nobody has been told of, and when the last was, in nanoseconds (uv_hrtime). */
  uint32_t answered;
  uint64_t at;
};

/*
 * Expects `question` to be the next datagram, and so on, to the end of `bodies`; the last body may be shorter than `part`, and
 * there is one at least, maybe empty. Expects nothing where a question or head is too long or has no number. `bodies`
 * must stay where it is until nothing is expected.
 */
void expect_series(struct series *series, const struct datagram *question, socklen_t size, const struct datagram *head,
                   const struct datagram *bodies, size_t part);

/*
 * Answers `next` where it is the next question. Where it is not, or the answer cannot be sent now, gives false, and nothing
 * is expected any more.
 */
bool answer_next(struct series *series, int fd, const struct datagram *next);

#endif
