/*
 * System calls on open files that Node has not (N-API). Each returns 0 or an errno.
 *
 *   punch(fd, offset, length)   gives the space of a range back; the range reads as zeroes (fallocate)
 *   lock(fd)                    takes the file for this process (flock): 11 where another one has it. The kernel gives
 *                               it free when the file is closed, also by SIGKILL
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <node_api.h>
#include <sys/file.h>

static int64_t number(napi_env env, napi_value value) {
  int64_t found = -1;
  napi_get_value_int64(env, value, &found);
  return found;
}

static napi_value answer(napi_env env, int64_t result) {
  napi_value value;
  napi_create_int64(env, result, &value);
  return value;
}

static napi_value punch(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  int64_t fd = number(env, values[0]), offset = number(env, values[1]), length = number(env, values[2]);
  int result;
  do result = fallocate((int)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  while (result != 0 && errno == EINTR);
  return answer(env, result == 0 ? 0 : errno);
}

static napi_value lock(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  return answer(env, flock((int)number(env, values[0]), LOCK_EX | LOCK_NB) == 0 ? 0 : errno);
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  const struct {
    const char *name;
    napi_callback body;
  } functions[] = {{"punch", punch}, {"lock", lock}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].body, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
  return exports;
}
