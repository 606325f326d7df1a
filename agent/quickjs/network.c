/* TCP connections, datagrams, generic netlink sockets, poll. Addresses are IPv4, dotted decimal. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bw.h"
#include "relay.h"

/* A peer that lost power is noticed within this time, also while data is on its way. */
#define SILENCE_SECONDS 15

int bw_ipv4(JSContext *ctx, JSValueConst value, struct in_addr *address) {
  const char *text = JS_ToCString(ctx, value);
  if (!text) return -1;
  int good = inet_pton(AF_INET, text, address) == 1;
  if (!good) errno = EINVAL, bw_fail(ctx, "IPv4 address", text);
  JS_FreeCString(ctx, text);
  return good ? 0 : -1;
}

static void set_option(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

/* A non-blocking TCP socket whose connection has begun; writable once it is decided (socketError says how). */
static JSValue connect_start(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct sockaddr_in peer = {.sin_family = AF_INET};
  uint32_t port;
  if (bw_ipv4(ctx, argv[0], &peer.sin_addr) || JS_ToUint32(ctx, &port, argv[1])) return JS_EXCEPTION;
  peer.sin_port = htons((uint16_t)port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return bw_fail(ctx, "socket", "tcp");
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, (SILENCE_SECONDS - 5) / 2);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, SILENCE_SECONDS * 1000);
  if (connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0 && errno != EINPROGRESS) {
    JSValue error = bw_fail(ctx, "connect to", inet_ntoa(peer.sin_addr));
    close(fd);
    return error;
  }
  return JS_NewInt32(ctx, fd);
}

/* Throws the pending error of a socket, where there is one. */
static JSValue socket_error(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  int pending = 0;
  socklen_t size = sizeof pending;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &size) < 0) pending = errno;
  if (pending == 0) return JS_UNDEFINED;
  const char *peer = JS_ToCString(ctx, argv[1]);
  if (!peer) return JS_EXCEPTION;
  errno = pending;
  JSValue error = bw_fail(ctx, "connect to", peer);
  JS_FreeCString(ctx, peer);
  return error;
}

/* poll([fd, events, fd, events, ...], milliseconds or -1): the events that came, one number a descriptor. */
static JSValue poll_fds(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  uint32_t length;
  int32_t timeout;
  JSValue size = JS_GetPropertyStr(ctx, argv[0], "length");
  int bad = JS_ToUint32(ctx, &length, size);
  JS_FreeValue(ctx, size);
  if (bad || JS_ToInt32(ctx, &timeout, argv[1])) return JS_EXCEPTION;
  uint32_t count = length / 2;
  struct pollfd *set = calloc(count + 1, sizeof *set);
  if (!set) return JS_ThrowOutOfMemory(ctx);
  for (uint32_t i = 0; i < count; i++) {
    int32_t events = 0;
    JSValue fd = JS_GetPropertyUint32(ctx, argv[0], 2 * i), wanted = JS_GetPropertyUint32(ctx, argv[0], 2 * i + 1);
    JS_ToInt32(ctx, &set[i].fd, fd);
    JS_ToInt32(ctx, &events, wanted);
    set[i].events = (short)events;
  }
  JSValue result;
  if (poll(set, count, timeout) < 0 && errno != EINTR) {
    result = bw_fail(ctx, "poll", "descriptors");
  } else {
    result = JS_NewArray(ctx);
    for (uint32_t i = 0; i < count; i++) JS_SetPropertyUint32(ctx, result, i, JS_NewInt32(ctx, set[i].revents));
  }
  free(set);
  return result;
}

/* A UDP socket bound to an interface (SO_BINDTODEVICE), connected, with one datagram sent. */
static JSValue ask_start(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct sockaddr_in peer = {.sin_family = AF_INET};
  uint32_t port;
  size_t length;
  if (bw_ipv4(ctx, argv[1], &peer.sin_addr) || JS_ToUint32(ctx, &port, argv[2])) return JS_EXCEPTION;
  const uint8_t *bytes = bw_bytes(ctx, argv[3], &length);
  const char *name = bytes ? JS_ToCString(ctx, argv[0]) : NULL;
  if (!name) return JS_EXCEPTION;
  peer.sin_port = htons((uint16_t)port);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  JSValue result = JS_UNDEFINED;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ||
      connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0 || send(fd, bytes, length, 0) < 0) {
    result = bw_fail(ctx, "ask by", name);
    if (fd >= 0) close(fd);
  } else {
    result = JS_NewInt32(ctx, fd);
  }
  JS_FreeCString(ctx, name);
  return result;
}

/* A generic netlink socket, non-blocking where asked; a blocking one gives up after some seconds (EAGAIN: null). */
static JSValue netlink_open(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int nonblock = JS_ToBool(ctx, argv[0]) ? SOCK_NONBLOCK : 0;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | nonblock, NETLINK_GENERIC);
  struct sockaddr_nl self_address = {.nl_family = AF_NETLINK};
  struct timeval patience = {.tv_sec = 10};
  if (fd < 0) return bw_fail(ctx, "socket", "generic netlink");
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (bind(fd, (struct sockaddr *)&self_address, sizeof self_address) < 0) {
    JSValue error = bw_fail(ctx, "bind", "generic netlink");
    close(fd);
    return error;
  }
  return JS_NewInt32(ctx, fd);
}

static JSValue netlink_join(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd, group;
  if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToInt32(ctx, &group, argv[1])) return JS_EXCEPTION;
  if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
    return bw_fail(ctx, "join", "multicast group");
  return JS_UNDEFINED;
}

/*
 * receive(connection, target, from, milliseconds): fills `target` from byte `from` on, waiting for it, and gives where it
 * is filled to: less than all at the end of the stream, and where nothing came for so long.
 */
static JSValue receive(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd, patience;
  uint32_t from;
  size_t length;
  if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToUint32(ctx, &from, argv[2]) || JS_ToInt32(ctx, &patience, argv[3]))
    return JS_EXCEPTION;
  uint8_t *target = bw_bytes(ctx, argv[1], &length);
  if (!target) return JS_EXCEPTION;
  struct pollfd one = {.fd = fd, .events = POLLIN};
  while (from < length) {
    ssize_t got = recv(fd, target + from, length - from, MSG_DONTWAIT);
    if (got > 0) from += (uint32_t)got;
    else if (got == 0) break;
    else if (errno == EAGAIN ? poll(&one, 1, patience) == 0 : errno != EINTR) break;
  }
  return JS_NewUint32(ctx, from);
}

/* relay(connection, disk's name, its size, pack): the descriptor of a relay's other end; relay.h says more. */
static JSValue relay(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  int64_t size;
  size_t length;
  const char *why;
  if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToInt64(ctx, &size, argv[2])) return JS_EXCEPTION;
  uint8_t *pack = bw_bytes(ctx, argv[3], &length);
  if (!pack) return JS_EXCEPTION;
  const char *name = JS_ToCString(ctx, argv[1]);
  if (!name) return JS_EXCEPTION;
  int kernel = relay_start(fd, name, pack, length, (uint64_t)size, &why);
  JSValue result = kernel < 0 ? JS_NewString(ctx, why) : JS_NewInt32(ctx, kernel);
  JS_FreeCString(ctx, name);
  return result;
}

const JSCFunctionListEntry bw_network_calls[] = {
    JS_CFUNC_DEF("connectStart", 2, connect_start),
    JS_CFUNC_DEF("socketError", 2, socket_error),
    JS_CFUNC_DEF("poll", 2, poll_fds),
    JS_CFUNC_DEF("askStart", 4, ask_start),
    JS_CFUNC_DEF("netlinkOpen", 1, netlink_open),
    JS_CFUNC_DEF("netlinkJoin", 2, netlink_join),
    JS_CFUNC_DEF("receive", 4, receive),
    JS_CFUNC_DEF("relay", 4, relay),
};
const int bw_network_call_count = BW_COUNT(bw_network_calls);
