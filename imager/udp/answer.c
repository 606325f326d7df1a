#define _GNU_SOURCE
#include "answer.h"

#include <string.h>
#include <uv.h>

void expect_series(struct series *series, const struct datagram *question, socklen_t size, const struct datagram *head,
                   const struct datagram *bodies, size_t part) {
  series->expected = 0;
  if (size == 0 || part == 0) return;
  if (question->length > QUESTION || head->length > QUESTION || question->length < 2 || head->length < 2) return;
  memcpy(series->question, question->bytes, question->length);
  series->asked = question->length;
  memcpy(series->head, head->bytes, head->length);
  series->headed = head->length;
  series->bodies = bodies->bytes;
  series->left = bodies->length;
  series->part = part;
  series->place = *question->place;
  series->size = size;
  series->expected = bodies->length == 0 ? 1 : (uint32_t)((bodies->length - 1) / part + 1);
}

static bool is_question(const struct series *series, const struct datagram *next) {
  return next->length == series->asked && memcmp(next->bytes, series->question, series->asked) == 0 &&
         same_place(next->place, &series->place);
}

static void count_up(uint8_t *numbered, size_t length) {
  if (++numbered[length - 1] == 0) numbered[length - 2]++;
}

bool answer_next(struct series *series, int fd, const struct datagram *next) {
  if (series->expected == 0) return false;
  if (!is_question(series, next)) {
    series->expected = 0;
    return false;
  }
  size_t length = series->left < series->part ? series->left : series->part;
  struct iovec parts[] = {{series->head, series->headed}, {(void *)series->bodies, length}};
  struct msghdr message = {
      .msg_name = &series->place.any, .msg_namelen = series->size, .msg_iov = parts, .msg_iovlen = 2};
  if (sendmsg(fd, &message, MSG_DONTWAIT) < 0) {
    series->expected = 0;
    return false;
  }
  count_up(series->question, series->asked);
  count_up(series->head, series->headed);
  series->bodies += length;
  series->left -= length;
  series->expected--;
  series->answered++;
  series->at = uv_hrtime();
  return true;
}
