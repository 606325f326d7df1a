/* What the native parts have in common (N-API and libuv). */
#ifndef BOOTWRIGHT_ADDON_H
#define BOOTWRIGHT_ADDON_H

#include <node_api.h>
#include <stddef.h>
#include <uv.h>

struct function {
  const char *name;
  napi_callback body;
};

/* Makes the functions what the addon has. */
void export_functions(napi_env env, napi_value exports, size_t count, const struct function *functions);

/*
 * An Error as Node's own are, with `code`, `errno` and `syscall`, of the call `what` that failed with errno `number`.
 * Its message is the call, the code and `where`, which may be empty.
 */
napi_value system_error(napi_env env, const char *what, int number, const char *where);

/* Calls `function` in a turn of its own: ticks and promises run behind it, what it throws goes the way of all such. */
void call_in_turn(napi_env env, napi_async_context context, napi_ref function, size_t count, const napi_value *values);

/* A descriptor on the event loop, with `data` for its callbacks. Gives 0 or an errno, and then nothing was made. */
int open_poll(napi_env env, int fd, void *data, uv_poll_t **poll);

#endif
