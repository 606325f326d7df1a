#include "spin.h"

#include <errno.h>
#include <stdlib.h>

/* Nanoseconds. As long as a client on the same machine, or the next of many, takes to ask again. */
enum { AWAKE = 50 * 1000 };
/* One time in vain costs as much as so many others earn. */
enum { LOSS = 4, MOST_CREDIT = 32 };
/* Without credit it is tried again once in so many answers. */
enum { TRIAL = 512 };

static void on_idle(uv_idle_t *idle) {
  struct spin *spin = uv_handle_get_data((uv_handle_t *)idle);
  if (uv_hrtime() < spin->until) return;
  uv_idle_stop(idle);
  spin->credit = spin->credit > LOSS ? spin->credit - LOSS : 0;
}

static void on_closed(uv_handle_t *idle) {
  struct spin *spin = uv_handle_get_data(idle);
  napi_remove_async_cleanup_hook(spin->hook);
  spin->idle = NULL;
  free(idle);
}

/* The environment ends. */
static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct spin *spin = data;
  uv_close((uv_handle_t *)spin->idle, on_closed);
}

int open_spin(napi_env env, struct spin *spin) {
  uv_loop_t *loop = NULL;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) return EINVAL;
  uv_idle_t *idle = calloc(1, uv_handle_size(UV_IDLE));
  if (idle == NULL) return ENOMEM;
  uv_idle_init(loop, idle);
  /* It alone does not keep the process alive. */
  uv_unref((uv_handle_t *)idle);
  uv_handle_set_data((uv_handle_t *)idle, spin);
  *spin = (struct spin){.idle = idle, .credit = MOST_CREDIT};
  napi_add_async_cleanup_hook(env, on_cleanup, spin, &spin->hook);
  return 0;
}

void stay_awake(struct spin *spin) {
  if (spin->idle == NULL || uv_is_closing((uv_handle_t *)spin->idle)) return;
  if (uv_is_active((uv_handle_t *)spin->idle)) {
    if (spin->credit < MOST_CREDIT) spin->credit++;
  } else if (spin->credit == 0 && ++spin->skipped < TRIAL) return;
  spin->skipped = 0;
  spin->until = uv_hrtime() + AWAKE;
  uv_idle_start(spin->idle, on_idle);
}
