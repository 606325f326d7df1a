/* Bytes on their way from one socket to another. */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int stream_open(struct stream *buffer, size_t size) {
  *buffer = (struct stream){.bytes = malloc(size), .size = size};
  return buffer->bytes != NULL;
}

size_t stream_room(struct stream *buffer) {
  if (buffer->from == buffer->to) buffer->from = buffer->to = 0;
  if (buffer->from > 0 && buffer->to == buffer->size) {
    memmove(buffer->bytes, buffer->bytes + buffer->from, buffer->to - buffer->from);
    buffer->to -= buffer->from;
    buffer->from = 0;
  }
  return buffer->size - buffer->to;
}

int stream_has_room(struct stream *buffer, size_t length) {
  if (stream_room(buffer) >= length) return 1;
  memmove(buffer->bytes, buffer->bytes + buffer->from, buffer->to - buffer->from);
  buffer->to -= buffer->from;
  buffer->from = 0;
  return buffer->size - buffer->to >= length;
}

size_t stream_held(const struct stream *buffer) { return buffer->to - buffer->from; }

void stream_put(struct stream *buffer, const uint8_t *bytes, size_t length) {
  memcpy(buffer->bytes + buffer->to, bytes, length);
  buffer->to += length;
}

size_t stream_move(struct stream *from, struct stream *to, size_t most) {
  size_t length = stream_held(from), space = stream_room(to);
  if (length > most) length = most;
  if (length > space) length = space;
  stream_put(to, from->bytes + from->from, length);
  from->from += length;
  return length;
}

int stream_take(int fd, struct stream *buffer, size_t most) {
  size_t space = stream_room(buffer);
  if (space > most) space = most;
  ssize_t got = space > 0 ? recv(fd, buffer->bytes + buffer->to, space, MSG_DONTWAIT) : -2;
  if (got > 0) buffer->to += (size_t)got;
  if (got > 0) return 1;
  return got == -2 || (got < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

int stream_give(int fd, struct stream *buffer) {
  if (stream_held(buffer) == 0) return 0;
  ssize_t sent = send(fd, buffer->bytes + buffer->from, stream_held(buffer), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  buffer->from += (size_t)sent;
  return 1;
}
