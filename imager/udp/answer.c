#define _GNU_SOURCE
#include "answer.h"

#include <string.h>
#include <uv.h>

/* Bytes of an answer that is made in one piece, at most: any that fits into an Ethernet frame. */
enum { TOGETHER = 2048 };

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

/* Sends the next answer; false where it cannot be now. */
static bool send_answer(const struct series *series, int fd, size_t length) {
  size_t whole = series->headed + length;
  if (whole <= TOGETHER) {
    /* Copied once more, and still sooner away than from two places. */
    uint8_t bytes[TOGETHER];
    memcpy(bytes, series->head, series->headed);
    if (length > 0) memcpy(bytes + series->headed, series->bodies, length);
    return sendto(fd, bytes, whole, MSG_DONTWAIT, &series->place.any, series->size) >= 0;
  }
  struct iovec parts[] = {{(void *)series->head, series->headed}, {(void *)series->bodies, length}};
  struct msghdr message = {
      .msg_name = (void *)&series->place.any, .msg_namelen = series->size, .msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(fd, &message, MSG_DONTWAIT) >= 0;
}

bool answer_next(struct series *series, int fd, const struct datagram *next) {
  if (series->expected == 0) return false;
  size_t length = series->left < series->part ? series->left : series->part;
  if (!is_question(series, next) || !send_answer(series, fd, length)) {
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
