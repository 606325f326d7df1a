#include "addon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void export_functions(napi_env env, napi_value exports, size_t count, const struct function *functions) {
  for (size_t i = 0; i < count; i++) {
    napi_value value;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].body, NULL, &value);
    napi_set_named_property(env, exports, functions[i].name, value);
  }
}

napi_value system_error(napi_env env, const char *what, int number, const char *where) {
  napi_value code, message, error, value;
  char text[160];
  snprintf(text, sizeof text, "%s %s%s%s", what, uv_err_name(-number), *where == 0 ? "" : " ", where);
  napi_create_string_utf8(env, uv_err_name(-number), NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_error(env, code, message, &error);
  napi_create_string_utf8(env, what, NAPI_AUTO_LENGTH, &value);
  napi_set_named_property(env, error, "syscall", value);
  napi_create_int32(env, -number, &value);
  napi_set_named_property(env, error, "errno", value);
  return error;
}

void call_in_turn(napi_env env, napi_async_context context, napi_ref function, size_t count, const napi_value *values) {
  napi_value target, global, error;
  bool thrown = false;
  napi_get_reference_value(env, function, &target);
  napi_get_global(env, &global);
  napi_make_callback(env, context, global, target, count, values, NULL);
  napi_is_exception_pending(env, &thrown);
  if (!thrown) return;
  napi_get_and_clear_last_exception(env, &error);
  napi_fatal_exception(env, error);
}

int open_poll(napi_env env, int fd, void *data, uv_poll_t **poll) {
  uv_loop_t *loop = NULL;
  uv_poll_t *made = calloc(1, uv_handle_size(UV_POLL));
  if (made == NULL) return ENOMEM;
  int number = napi_get_uv_event_loop(env, &loop) == napi_ok ? -uv_poll_init(loop, made, fd) : EINVAL;
  if (number != 0) {
    free(made);
    return number;
  }
  uv_handle_set_data((uv_handle_t *)made, data);
  *poll = made;
  return 0;
}
