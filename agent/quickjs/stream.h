/* Bytes on their way from one socket to another, in a buffer of a fixed size. */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <stdint.h>

struct stream {
  uint8_t *bytes;
  size_t from, to, size;
};

/* False where there is no memory. */
int stream_open(struct stream *stream, size_t size);

/* Bytes held, and how many more may be put behind them. */
size_t stream_held(const struct stream *stream);
size_t stream_room(struct stream *stream);

/* True where `length` bytes may be put, for which those held are moved where needed. */
int stream_has_room(struct stream *stream, size_t length);

/* Puts bytes for which there is room. */
void stream_put(struct stream *stream, const uint8_t *bytes, size_t length);

/* Moves at most `most` bytes, and no more than there are and have room; gives the count. */
size_t stream_move(struct stream *from, struct stream *to, size_t most);

/* Receives at most `most` bytes: 1; 0 where there is nothing now; -1 at the end of the stream, or where it broke. */
int stream_take(int fd, struct stream *stream, size_t most);

/* Sends what is held, or some of it: 1; 0 where nothing could be sent now; -1 where the socket is broken. */
int stream_give(int fd, struct stream *stream);

#endif
