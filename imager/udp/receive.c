#define _GNU_SOURCE
#include "../native/addon.h"
#include "udp.h"

#include <errno.h>
#include <string.h>

/* So many times a socket is read before others have their turn, the first of them one datagram at a time. */
enum { ROUNDS = 6, ALONE = 4 };

void call_for(struct udp *udp, napi_ref function, size_t count, const napi_value *values) {
  call_in_turn(udp->env, udp->context, function, count, values);
}

/* An event of the socket: room to send, or its error. */
static void tell(struct udp *udp, int number) {
  napi_handle_scope scope;
  napi_open_handle_scope(udp->env, &scope);
  napi_value values[2];
  napi_create_int32(udp->env, 0, &values[0]);
  napi_create_int32(udp->env, -number, &values[1]);
  call_for(udp, udp->receive, 2, values);
  napi_close_handle_scope(udp->env, scope);
}

/* Gives false for what was answered and is not to be heard of. */
static bool hand_over(struct udp *udp, size_t offset, uint32_t length, const union place *from) {
  struct datagram datagram = {udp->home->bytes + offset, length, from};
  /* Nothing may overtake what waits to be sent. */
  if (udp->waiting) udp->series.expected = 0;
  bool answered = answer_next(&udp->series, udp->fd, &datagram);
  if (answered) awake_answered(udp->home->awake);
  if (answered && udp->series.expected > 0) return false;
  uint32_t before = udp->series.answered - (answered ? 1 : 0);
  udp->series.answered = 0;
  napi_handle_scope scope;
  napi_open_handle_scope(udp->env, &scope);
  napi_value values[6];
  napi_create_uint32(udp->env, (uint32_t)offset, &values[0]);
  napi_create_uint32(udp->env, length, &values[1]);
  napi_get_boolean(udp->env, answered, &values[2]);
  napi_create_uint32(udp->env, before, &values[3]);
  size_t count = 4;
  if (!same_place(from, &udp->last)) {
    char text[ADDRESS];
    write_address(from, text);
    napi_create_string_latin1(udp->env, text, NAPI_AUTO_LENGTH, &values[4]);
    napi_create_uint32(udp->env, port_of(from), &values[5]);
    udp->last = *from;
    count = 6;
  }
  call_for(udp, udp->receive, count, values);
  napi_close_handle_scope(udp->env, scope);
  return true;
}

/* The system's error, unless there is but nothing to receive. */
static void tell_fault(struct udp *udp) {
  if (errno != EAGAIN && errno != EINTR) tell(udp, errno);
}

/*
 * Takes one datagram, which costs less so than as a batch of one. Gives whether there may be more: who is answered by the
 * socket itself sends one at a time, and is not asked for the next before it can be here.
 */
static bool receive_one(struct udp *udp) {
  union place from;
  socklen_t size = sizeof from;
  ssize_t length = recvfrom(udp->fd, udp->home->bytes, LARGEST, MSG_DONTWAIT, &from.any, &size);
  if (length >= 0) return hand_over(udp, 0, (uint32_t)length, &from);
  tell_fault(udp);
  return false;
}

/* Takes up to BATCH datagrams. Gives whether there were as many. */
static bool receive_batch(struct udp *udp) {
  struct mmsghdr messages[BATCH];
  struct iovec parts[BATCH];
  union place places[BATCH];
  for (size_t i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){udp->home->bytes + i * LARGEST, LARGEST};
    messages[i].msg_hdr =
        (struct msghdr){.msg_name = &places[i], .msg_namelen = sizeof places[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int count = recvmmsg(udp->fd, messages, BATCH, MSG_DONTWAIT, NULL);
  if (count < 0) tell_fault(udp);
  for (int i = 0; i < count && !udp->closing; i++)
    hand_over(udp, (size_t)i * LARGEST, messages[i].msg_len, &places[i]);
  return count == BATCH;
}

/*
 * One datagram, and another if an answer to what it caused to be sent is here already: that costs less than a turn of
 * the event loop. Batches where more came meanwhile.
 */
static void receive_all(struct udp *udp) {
  for (int i = 0; i < ROUNDS && !udp->closing; i++)
    if (!(i < ALONE ? receive_one(udp) : receive_batch(udp))) return;
}

void on_poll(uv_poll_t *poll, int status, int events) {
  struct udp *udp = uv_handle_get_data((uv_handle_t *)poll);
  if (status < 0) {
    tell(udp, -status);
    return;
  }
  if (events & UV_WRITABLE) {
    uv_poll_start(poll, UV_READABLE, on_poll);
    udp->waiting = false;
    tell(udp, EAGAIN);
  }
  if ((events & UV_READABLE) && !udp->closing) receive_all(udp);
}
