/*
 * The byte stream of a connected socket on Node's event loop (N-API and libuv), without work or memory for each
 * message beyond the system calls: what comes in is read into one buffer that all streams of a process share, or to
 * where it is to stay; what goes out is sent at once from where it is. What the bytes mean is JavaScript's affair.
 *
 *   open(fd, wake) -> stream            takes a duplicate of the descriptor: the caller closes its own, and must not
 *                                       read or write it any more. Throws an Error with `code`, `errno`, `syscall`
 *   room(bytes)                         where what comes in is put from now on, for all streams
 *   fill(stream, bytes)                 what comes next goes there; `wake` is called when all of it is filled. An
 *                                       empty array ends it before. The caller keeps `bytes` until then
 *   left(stream) -> bytes that are still to be filled
 *   send(stream, bytes) -> count of bytes sent, or a negative errno (-11: no room now, see watch)
 *   sendFile(stream, bytes, fd, offset, length) -> count of bytes sent, those of an open file behind `bytes`, which are few;
 *                                       or a negative errno. It says nothing of errors behind the first byte: what is
 *                                       left tells them when it is read or sent
 *   congestion(stream) -> name of its congestion control, as `bbr`
 *   watch(stream, events)               what to wait for: 1 bytes that come in, 2 room to send, 3 both
 *   shut(stream)                        the end of what is sent
 *   close(stream)                       `wake` is never called again
 *   awake() -> [came, vain]             how often the loop stayed awake for what follows from what was sent, with and
 *                                       without success (../native/awake.h)
 *
 *   wake(what, length): 0 `length` bytes are in the room, behind those that completed what was to be filled;
 *                       1 the other side sends no more; 2 there is room to send; 3 the socket failed, errno `length`
 */
#define _GNU_SOURCE
#include "../native/addon.h"
#include "../native/awake.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <node_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

enum { CAME, ENDED, WRITABLE, FAILED };

/*
 * Bytes that are read behind a long range that is to be filled: the header of the next request, which is likely to be as
 * long. What else is in the room has to be copied.
 */
enum { BEHIND_LONG = 28 };

/*
 * What is said of a long range waits for the one behind it, so that both leave together, where so much waits besides that
 * the other side has no reason to be idle meanwhile; and where no more than this was read in the turn.
 */
enum { WORTH_WAITING = 256 * 1024, MOST_OF_A_TURN = 1024 * 1024 };

/* Memory of a typed array, kept from the collector. */
struct memory {
  napi_ref holder;
  uint8_t *bytes;
  size_t length;
};

/* Memory of a typed array that JavaScript keeps. */
struct range {
  uint8_t *bytes;
  size_t length;
};

/* What all streams of an environment have together. */
struct shared {
  struct memory room;
  struct awake *awake;
};

struct stream {
  napi_env env;
  napi_ref wake;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  struct shared *shared;
  struct range fill;
  size_t behind;
  uv_poll_t *poll;
  int fd;
  /* Events: what JavaScript wants to hear of, and what is polled for. */
  int wanted, polled;
  bool closing;
};

static napi_value fail(napi_env env, const char *what, int number) {
  napi_throw(env, system_error(env, what, number, ""));
  return NULL;
}

static void forget(napi_env env, struct memory *memory) {
  if (memory->holder != NULL) napi_delete_reference(env, memory->holder);
  *memory = (struct memory){0};
}

static void keep(napi_env env, struct memory *memory, napi_value value) {
  forget(env, memory);
  napi_get_typedarray_info(env, value, NULL, &memory->length, (void **)&memory->bytes, NULL, NULL);
  napi_create_reference(env, value, 1, &memory->holder);
}

static void tell(struct stream *stream, uint32_t what, size_t length) {
  napi_handle_scope scope;
  napi_value values[2];
  if (stream->closing) return;
  napi_open_handle_scope(stream->env, &scope);
  napi_create_uint32(stream->env, what, &values[0]);
  napi_create_uint32(stream->env, (uint32_t)length, &values[1]);
  call_in_turn(stream->env, stream->context, stream->wake, 2, values);
  napi_close_handle_scope(stream->env, scope);
}

/* One read of what is there. Gives its length, where that was a long range and there is more; else 0. */
static size_t receive_some(struct stream *stream) {
  struct range *fill = &stream->fill;
  struct memory *room = &stream->shared->room;
  struct iovec parts[2] = {{fill->bytes, fill->length}, {room->bytes, stream->behind}};
  bool filling = fill->length > 0, longer = filling && stream->behind < room->length;
  size_t most = fill->length + stream->behind;
  ssize_t count = filling ? readv(stream->fd, parts, 2) : recv(stream->fd, room->bytes, room->length, 0);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) tell(stream, FAILED, (size_t)errno);
  } else if (count == 0) {
    tell(stream, ENDED, 0);
  } else if (filling && (size_t)count < fill->length) {
    fill->bytes += count;
    fill->length -= (size_t)count;
  } else {
    size_t filled = fill->length;
    *fill = (struct range){0};
    tell(stream, CAME, (size_t)count - filled);
  }
  return longer && count > 0 && (size_t)count == most ? most : 0;
}

static bool more_waits(const struct stream *stream) {
  int waiting = 0;
  return !stream->closing && (stream->wanted & UV_READABLE) && ioctl(stream->fd, FIONREAD, &waiting) == 0 &&
         waiting >= WORTH_WAITING;
}

/* A turn: promises that follow from what is told run at its end, and what they send leaves at once. */
static void receive(struct stream *stream) {
  napi_env env = stream->env;
  napi_handle_scope handles;
  napi_callback_scope turn;
  napi_value nothing;
  napi_open_handle_scope(env, &handles);
  napi_get_undefined(env, &nothing);
  napi_open_callback_scope(env, nothing, stream->context, &turn);
  size_t done = 0, count;
  do {
    count = receive_some(stream);
    done += count;
  } while (count > 0 && done < MOST_OF_A_TURN && more_waits(stream));
  napi_close_callback_scope(env, turn);
  napi_close_handle_scope(env, handles);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_wanted(struct stream *stream) {
  if (stream->closing) return;
  stream->polled = stream->wanted;
  if (stream->polled != 0) uv_poll_start(stream->poll, stream->polled, on_poll);
  else uv_poll_stop(stream->poll);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
  struct stream *stream = uv_handle_get_data((uv_handle_t *)poll);
  if (status < 0) {
    /* What libuv tells is EBADF, whatever it is. */
    int number = 0;
    socklen_t length = sizeof number;
    getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &number, &length);
    tell(stream, FAILED, (size_t)(number == 0 ? -status : number));
    return;
  }
  if (events & stream->wanted & UV_WRITABLE) tell(stream, WRITABLE, 0);
  if (events & stream->wanted & UV_READABLE && !stream->closing) receive(stream);
  /* What nobody wants any more is polled for until it comes: mostly it is wanted again before, and nothing was done. */
  if (events & ~stream->wanted) poll_wanted(stream);
}

static void on_closed(uv_handle_t *handle) {
  struct stream *stream = uv_handle_get_data(handle);
  napi_handle_scope scope;
  napi_open_handle_scope(stream->env, &scope);
  napi_delete_reference(stream->env, stream->wake);
  napi_async_destroy(stream->env, stream->context);
  napi_close_handle_scope(stream->env, scope);
  napi_remove_async_cleanup_hook(stream->hook);
  free(handle);
  free(stream);
}

static void shut_down(struct stream *stream) {
  if (stream->closing) return;
  stream->closing = true;
  uv_poll_stop(stream->poll);
  uv_close((uv_handle_t *)stream->poll, on_closed);
  close(stream->fd);
}

/* The environment ends (a worker exits) while the stream is open. */
static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  shut_down(data);
}

static napi_value open_stream(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2], result;
  int32_t given = -1;
  struct shared *shared = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_int32(env, values[0], &given);
  napi_get_instance_data(env, (void **)&shared);
  int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return fail(env, "dup", errno);
  struct stream *stream = calloc(1, sizeof *stream);
  uv_poll_t *poll = NULL;
  int number = stream == NULL ? ENOMEM : open_poll(env, fd, stream, &poll);
  if (number != 0) {
    close(fd);
    free(stream);
    return fail(env, "poll", number);
  }
  *stream = (struct stream){.env = env, .shared = shared, .poll = poll, .fd = fd};
  napi_create_reference(env, values[1], 1, &stream->wake);
  napi_create_string_utf8(env, "bootwright-stream", NAPI_AUTO_LENGTH, &result);
  napi_async_init(env, NULL, result, &stream->context);
  napi_add_async_cleanup_hook(env, on_cleanup, stream, &stream->hook);
  napi_create_external(env, stream, NULL, NULL, &result);
  return result;
}

static napi_value set_room(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  struct shared *shared = NULL;
  napi_get_cb_info(env, info, &count, &value, NULL, NULL);
  napi_get_instance_data(env, (void **)&shared);
  keep(env, &shared->room, value);
  return NULL;
}

/* The arguments of a call, the first of them a stream; NULL where it is closed already. */
static struct stream *stream_of(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  struct stream *stream = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_external(env, values[0], (void **)&stream);
  return stream;
}

static napi_value fill(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct stream *stream = stream_of(env, info, 2, values);
  napi_get_typedarray_info(env, values[1], NULL, &stream->fill.length, (void **)&stream->fill.bytes, NULL, NULL);
  size_t room = stream->shared->room.length;
  stream->behind = stream->fill.length > room && room > BEHIND_LONG ? BEHIND_LONG : room;
  return NULL;
}

static napi_value left(napi_env env, napi_callback_info info) {
  napi_value value, result;
  napi_create_int64(env, (int64_t)stream_of(env, info, 1, &value)->fill.length, &result);
  return result;
}

static napi_value send_bytes(napi_env env, napi_callback_info info) {
  napi_value values[2], result;
  struct stream *stream = stream_of(env, info, 2, values);
  void *bytes = NULL;
  size_t length = 0;
  napi_get_typedarray_info(env, values[1], NULL, &length, &bytes, NULL, NULL);
  ssize_t count = send(stream->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  awake_answered(stream->shared->awake);
  napi_create_int64(env, count < 0 ? -errno : count, &result);
  return result;
}

static napi_value send_file(napi_env env, napi_callback_info info) {
  napi_value values[5], result;
  struct stream *stream = stream_of(env, info, 5, values);
  void *bytes = NULL;
  size_t begin = 0;
  int32_t file = -1;
  int64_t place = 0, length = 0;
  napi_get_typedarray_info(env, values[1], NULL, &begin, &bytes, NULL, NULL);
  napi_get_value_int32(env, values[2], &file);
  napi_get_value_int64(env, values[3], &place);
  napi_get_value_int64(env, values[4], &length);
  ssize_t count = send(stream->fd, bytes, begin, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE);
  int64_t sent = count < 0 ? -errno : count;
  /* The socket does not block (uv_poll_init), and Node ignores SIGPIPE: this call has no flags for either. */
  for (off_t at = place; count > 0 && sent >= (int64_t)begin && length > 0; length -= count) {
    count = sendfile(stream->fd, file, &at, (size_t)length);
    if (count <= 0) break;
    sent += count;
  }
  awake_answered(stream->shared->awake);
  napi_create_int64(env, sent, &result);
  return result;
}

static napi_value congestion(napi_env env, napi_callback_info info) {
  napi_value value, result;
  char name[16] = "";
  socklen_t length = sizeof name - 1;
  getsockopt(stream_of(env, info, 1, &value)->fd, IPPROTO_TCP, TCP_CONGESTION, name, &length);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &result);
  return result;
}

static napi_value watch(napi_env env, napi_callback_info info) {
  napi_value values[2];
  struct stream *stream = stream_of(env, info, 2, values);
  uint32_t events = 0;
  napi_get_value_uint32(env, values[1], &events);
  stream->wanted = (events & 1 ? UV_READABLE : 0) | (events & 2 ? UV_WRITABLE : 0);
  if (stream->wanted & ~stream->polled) poll_wanted(stream);
  return NULL;
}

static napi_value shut(napi_env env, napi_callback_info info) {
  napi_value value;
  shutdown(stream_of(env, info, 1, &value)->fd, SHUT_WR);
  return NULL;
}

static napi_value close_stream(napi_env env, napi_callback_info info) {
  napi_value value;
  shut_down(stream_of(env, info, 1, &value));
  return NULL;
}

static napi_value awake(napi_env env, napi_callback_info info) {
  (void)info;
  struct shared *shared = NULL;
  napi_value result, value;
  napi_get_instance_data(env, (void **)&shared);
  napi_create_array_with_length(env, 2, &result);
  napi_create_int64(env, awake_came(shared->awake), &value);
  napi_set_element(env, result, 0, value);
  napi_create_int64(env, awake_vain(shared->awake), &value);
  napi_set_element(env, result, 1, value);
  return result;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  struct shared *shared = calloc(1, sizeof *shared);
  if (shared == NULL || (shared->awake = awake_begin(env)) == NULL) {
    free(shared);
    napi_throw_error(env, "ENOMEM", "no memory");
    return NULL;
  }
  napi_set_instance_data(env, shared, NULL, NULL);
  static const struct function functions[] = {
      {"open", open_stream}, {"room", set_room}, {"fill", fill}, {"left", left}, {"send", send_bytes},
      {"sendFile", send_file}, {"congestion", congestion}, {"watch", watch}, {"shut", shut}, {"close", close_stream},
      {"awake", awake},
  };
  export_functions(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
