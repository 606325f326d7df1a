/*
 * UDP sockets on Node's event loop (N-API and libuv), without work or memory for each packet beyond the system calls:
 * what comes in is read in batches into one buffer that all sockets of a process share, what goes out is sent at once.
 *
 *   buffer                             where datagrams are while `receive` is called
 *   open(address, port, reuse, broadcast, receiveBuffer, receive, device) -> socket
 *                                      device: name of the one interface to hear, or "" for all
 *                                      throws an Error with `code`, `errno`, `syscall`, `address`, `port`
 *   port(socket) -> number
 *   send(socket, bytes, port, address) -> 0 or an errno (11: no room now, see watch)
 *   expect(socket, question, head, bodies, size, port, address)
 *                                      has numbered questions from there answered at once, see answer.h; `bodies` is held
 *                                      and not copied, and must not change while any of it is expected
 *                                      send, expect: address and port are left out where they are the last call's
 *   answers(socket) -> number          how many were answered that nobody has been told of; they count as told then
 *   age(socket) -> number              milliseconds since the last of them
 *   watch(socket)                      has `receive` called with length -11 once there is room to send
 *   close(socket, closed)
 *   interface(address) -> string       the interface that has an IPv4 address, see address.h
 *
 *   receive(offset, length, answered, before, address, port): length < 0: the negative errno of a socket error;
 *                                      answered: it was expected, and the answer has been sent;
 *                                      before: as many others were that nobody has been told of;
 *                                      address and port are left out where they are the last datagram's
 */
#define _GNU_SOURCE
#include "../native/addon.h"
#include "udp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Throws an Error as Node's own are: "bind EADDRINUSE 10.77.0.1:69". */
static napi_value fail(napi_env env, const char *what, int number, const char *where, uint32_t port) {
  napi_value error, value;
  char place[ADDRESS + 8];
  snprintf(place, sizeof place, "%s:%u", where, port);
  error = system_error(env, what, number, place);
  napi_create_string_utf8(env, where, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, error, "address", value);
  napi_create_uint32(env, port, &value);
  napi_set_named_property(env, error, "port", value);
  napi_throw(env, error);
  return NULL;
}

static void on_closed(uv_handle_t *handle) {
  struct udp *udp = uv_handle_get_data(handle);
  if (udp->closed != NULL) {
    napi_handle_scope scope;
    napi_open_handle_scope(udp->env, &scope);
    call_for(udp, udp->closed, 0, NULL);
    napi_close_handle_scope(udp->env, scope);
    napi_delete_reference(udp->env, udp->closed);
  }
  napi_delete_reference(udp->env, udp->receive);
  napi_async_destroy(udp->env, udp->context);
  napi_remove_async_cleanup_hook(udp->hook);
  if (udp->bodies != NULL) napi_delete_reference(udp->env, udp->bodies);
  free(handle);
  free(udp);
}

static void shut(struct udp *udp) {
  if (udp->closing) return;
  udp->closing = true;
  uv_poll_stop(udp->poll);
  uv_close((uv_handle_t *)udp->poll, on_closed);
  close(udp->fd);
}

/* The environment ends (a worker exits) while the socket is open. */
static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  shut(data);
}

static int prepare(int fd, const union place *place, socklen_t length, bool reuse, bool broadcast, int32_t room,
                   const char *device, const char **what) {
  int one = 1;
  *what = "setsockopt";
  if (reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) return errno;
  if (broadcast && setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof one) < 0) return errno;
  if (room > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0) return errno;
  if (*device != 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) < 0) return errno;
  *what = "bind";
  return bind(fd, &place->any, length) < 0 ? errno : 0;
}

static napi_value open_socket(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value values[7], result;
  char address[ADDRESS] = "", device[IFNAMSIZ] = "";
  uint32_t port = 0;
  int32_t room = 0;
  bool reuse = false, broadcast = false;
  struct home *home = NULL;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_utf8(env, values[0], address, sizeof address, NULL);
  napi_get_value_uint32(env, values[1], &port);
  napi_get_value_bool(env, values[2], &reuse);
  napi_get_value_bool(env, values[3], &broadcast);
  napi_get_value_int32(env, values[4], &room);
  napi_get_value_string_utf8(env, values[6], device, sizeof device, NULL);
  napi_get_instance_data(env, (void **)&home);
  union place place;
  socklen_t length = read_place(address, port, &place);
  if (length == 0) return fail(env, "bind", EINVAL, address, port);
  int fd = socket(place.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(env, "socket", errno, address, port);
  const char *what = "";
  int number = prepare(fd, &place, length, reuse, broadcast, room, device, &what);
  struct udp *udp = calloc(1, sizeof *udp);
  uv_poll_t *poll = NULL;
  if (number == 0) number = udp == NULL ? ENOMEM : open_poll(env, fd, udp, &poll);
  if (number != 0) {
    close(fd);
    free(udp);
    return fail(env, what, number, address, port);
  }
  *udp = (struct udp){.env = env, .home = home, .poll = poll, .fd = fd};
  napi_create_reference(env, values[5], 1, &udp->receive);
  napi_create_string_utf8(env, "bootwright-udp", NAPI_AUTO_LENGTH, &result);
  napi_async_init(env, NULL, result, &udp->context);
  napi_add_async_cleanup_hook(env, on_cleanup, udp, &udp->hook);
  uv_poll_start(poll, UV_READABLE, on_poll);
  napi_create_external(env, udp, NULL, NULL, &result);
  return result;
}

/* The arguments of a call, `count` at most and how many there are then, the first of them a socket. */
static struct udp *udp_of(napi_env env, napi_callback_info info, size_t *count, napi_value *values) {
  struct udp *udp = NULL;
  napi_get_cb_info(env, info, count, values, NULL, NULL);
  napi_get_value_external(env, values[0], (void **)&udp);
  return udp;
}

static napi_value get_port(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  struct udp *udp = udp_of(env, info, &count, &value);
  union place place;
  socklen_t length = sizeof place;
  if (getsockname(udp->fd, &place.any, &length) < 0) return fail(env, "getsockname", errno, "", 0);
  napi_create_uint32(env, port_of(&place), &value);
  return value;
}

/* From a port and an address. */
static void set_receiver(napi_env env, struct udp *udp, const napi_value values[2]) {
  uint32_t port = 0;
  char address[ADDRESS] = "";
  napi_get_value_uint32(env, values[0], &port);
  napi_get_value_string_utf8(env, values[1], address, sizeof address, NULL);
  udp->size = read_place(address, port, &udp->to);
}

/* The bytes of a typed array. */
static struct datagram bytes_of(napi_env env, napi_value array) {
  void *bytes = NULL;
  struct datagram datagram = {0};
  napi_get_typedarray_info(env, array, NULL, &datagram.length, &bytes, NULL, NULL);
  datagram.bytes = bytes;
  return datagram;
}

static napi_value send_datagram(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value values[4], result;
  struct udp *udp = udp_of(env, info, &count, values);
  struct datagram out = bytes_of(env, values[1]);
  if (count == 4) set_receiver(env, udp, &values[2]);
  int number = EINVAL;
  if (udp->size > 0)
    number = sendto(udp->fd, out.bytes, out.length, MSG_DONTWAIT, &udp->to.any, udp->size) < 0 ? errno : 0;
  napi_create_int32(env, number, &result);
  return result;
}

static napi_value expect(napi_env env, napi_callback_info info) {
  size_t count = 7;
  napi_value values[7];
  uint32_t size = 0;
  struct udp *udp = udp_of(env, info, &count, values);
  struct datagram question = bytes_of(env, values[1]), head = bytes_of(env, values[2]), bodies = bytes_of(env, values[3]);
  napi_get_value_uint32(env, values[4], &size);
  if (count == 7) set_receiver(env, udp, &values[5]);
  if (udp->bodies != NULL) napi_delete_reference(env, udp->bodies);
  napi_create_reference(env, values[3], 1, &udp->bodies);
  question.place = &udp->to;
  expect_series(&udp->series, &question, udp->size, &head, &bodies, size);
  return NULL;
}

static napi_value take_answers(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value, result;
  struct udp *udp = udp_of(env, info, &count, &value);
  napi_create_uint32(env, udp->series.answered, &result);
  udp->series.answered = 0;
  return result;
}

static napi_value get_age(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value, result;
  struct udp *udp = udp_of(env, info, &count, &value);
  napi_create_double(env, (double)(uv_hrtime() - udp->series.at) / 1e6, &result);
  return result;
}

static napi_value watch(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  struct udp *udp = udp_of(env, info, &count, &value);
  udp->waiting = true;
  if (!udp->closing) uv_poll_start(udp->poll, UV_READABLE | UV_WRITABLE, on_poll);
  return NULL;
}

static napi_value close_socket(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value values[2];
  struct udp *udp = udp_of(env, info, &count, values);
  if (udp->closing) return NULL;
  napi_create_reference(env, values[1], 1, &udp->closed);
  shut(udp);
  return NULL;
}

static napi_value get_interface(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  char address[ADDRESS] = "", name[IF_NAMESIZE];
  napi_get_cb_info(env, info, &count, &value, NULL, NULL);
  napi_get_value_string_utf8(env, value, address, sizeof address, NULL);
  interface_of(address, name);
  napi_create_string_utf8(env, name, NAPI_AUTO_LENGTH, &value);
  return value;
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  struct home *home = calloc(1, sizeof *home);
  napi_value value;
  if (home == NULL || (home->awake = awake_begin(env)) == NULL ||
      napi_create_buffer(env, (size_t)BATCH * LARGEST, (void **)&home->bytes, &value) != napi_ok) {
    free(home);
    napi_throw_error(env, "ENOMEM", "no memory for the receive buffer");
    return NULL;
  }
  napi_create_reference(env, value, 1, &home->buffer);
  napi_set_instance_data(env, home, NULL, NULL);
  napi_set_named_property(env, exports, "buffer", value);
  static const struct function functions[] = {
      {"open", open_socket}, {"port", get_port},        {"send", send_datagram},
      {"expect", expect},    {"answers", take_answers}, {"age", get_age},        {"watch", watch},
      {"close", close_socket}, {"interface", get_interface},
  };
  export_functions(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
