/* A UDP socket on the event loop. */
#ifndef UDP_H
#define UDP_H

#include "../native/awake.h"
#include "address.h"
#include "answer.h"

#include <node_api.h>
#include <uv.h>

/* What is read at once at most, and room for a datagram in bytes. */
enum { BATCH = 16, LARGEST = 65536 };

/* One for each environment (main thread or worker). */
struct home {
  napi_ref buffer;
  uint8_t *bytes;
  struct awake *awake;
};

struct udp {
  napi_env env;
  napi_ref receive, closed;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  struct home *home;
  uv_poll_t *poll;
  int fd;
  /* Where the last datagram came from, and where the last one sent was to go: no place while `size` is 0. */
  union place last, to;
  socklen_t size;
  struct series series;
  /* Keeps the bodies of the series where they are. */
  napi_ref bodies;
  /* Others wait to be sent: nothing may overtake them. */
  bool waiting;
  bool closing;
};

/* Calls a function of JavaScript, in a turn of its own. */
void call_for(struct udp *udp, napi_ref function, size_t count, const napi_value *values);

/* Hands over what there is to receive, and tells when there is room to send. */
void on_poll(uv_poll_t *poll, int status, int events);

#endif
