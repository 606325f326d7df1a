#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>

void expect_question(struct answer *answer, const struct datagram *question, socklen_t size, const uint8_t *bytes,
                     size_t length) {
  answer->expected = false;
  if (size == 0 || question->length > sizeof answer->question) return;
  if (length > answer->room) {
    drop_answer(answer);
    answer->bytes = malloc(length);
    if (answer->bytes == NULL) return;
    answer->room = length;
  }
  memcpy(answer->question, question->bytes, question->length);
  answer->asked = question->length;
  memcpy(answer->bytes, bytes, length);
  answer->length = length;
  answer->place = *question->place;
  answer->size = size;
  answer->expected = true;
}

bool is_question(struct answer *answer, const struct datagram *next) {
  bool expected = answer->expected;
  answer->expected = false;
  return expected && next->length == answer->asked && memcmp(next->bytes, answer->question, answer->asked) == 0 &&
         same_place(next->place, &answer->place);
}

bool send_answer(const struct answer *answer, int fd) {
  return sendto(fd, answer->bytes, answer->length, MSG_DONTWAIT, &answer->place.any, answer->size) >= 0;
}

void drop_answer(struct answer *answer) {
  free(answer->bytes);
  *answer = (struct answer){0};
}
