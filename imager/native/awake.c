#include "awake.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

/*
 * A client on this machine, or on a fast network, has its next request here by then; who takes longer for it loses
 * little by a wake-up.
 */
enum { LONGEST_NS = 50 * 1000 };

/*
 * Waits that are passed over after looks in vain, one, three, seven and so on: 50 us in a thousand requests are no loss. A
 * look with success makes it an eighth less, so that one in seven may be in vain.
 */
enum { MOST_PASSED = 1023, LESS = 8 };

struct awake {
  uv_prepare_t before_wait;
  napi_async_cleanup_hook_handle hook;
  bool answered;
  /* Waits to be passed over; and as many are after the next look in vain. */
  unsigned passing, penalty;
  int64_t came, vain;
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Looks until something came; false where nothing did, or the processor was somebody else's meanwhile. */
static bool look(const uv_loop_t *loop) {
  struct pollfd all = {.fd = uv_backend_fd(loop), .events = POLLIN};
  int64_t end = now() + LONGEST_NS;
  do {
    if (poll(&all, 1, 0) != 0) return true;
  } while (now() < end);
  return false;
}

static void before_wait(uv_prepare_t *handle) {
  struct awake *awake = uv_handle_get_data((uv_handle_t *)handle);
  if (!awake->answered) return;
  awake->answered = false;
  /* Milliseconds, -1 without end: where there is something to do the loop does not wait. */
  int wait = uv_backend_timeout(handle->loop);
  if (wait == 0 || wait == 1) return;
  if (awake->passing > 0) {
    awake->passing--;
  } else if (look(handle->loop)) {
    awake->came++;
    awake->penalty -= (awake->penalty + LESS - 1) / LESS;
  } else {
    awake->vain++;
    awake->passing = awake->penalty;
    awake->penalty = awake->penalty < MOST_PASSED / 2 ? 2 * awake->penalty + 1 : MOST_PASSED;
  }
}

static void on_closed(uv_handle_t *handle) {
  struct awake *awake = uv_handle_get_data(handle);
  napi_remove_async_cleanup_hook(awake->hook);
  free(awake);
}

/* The environment ends. Who was to tell of answers began later, and ends before. */
static void on_cleanup(napi_async_cleanup_hook_handle hook, void *data) {
  (void)hook;
  struct awake *awake = data;
  uv_close((uv_handle_t *)&awake->before_wait, on_closed);
}

struct awake *awake_begin(napi_env env) {
  uv_loop_t *loop = NULL;
  struct awake *awake = calloc(1, sizeof *awake);
  if (awake == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    free(awake);
    return NULL;
  }
  uv_prepare_init(loop, &awake->before_wait);
  uv_handle_set_data((uv_handle_t *)&awake->before_wait, awake);
  uv_prepare_start(&awake->before_wait, before_wait);
  uv_unref((uv_handle_t *)&awake->before_wait);
  napi_add_async_cleanup_hook(env, on_cleanup, awake, &awake->hook);
  return awake;
}

void awake_answered(struct awake *awake) { awake->answered = true; }

int64_t awake_came(const struct awake *awake) { return awake->came; }

int64_t awake_vain(const struct awake *awake) { return awake->vain; }
