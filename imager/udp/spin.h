/* The event loop stays awake for a moment where the next datagram is likely to come sooner than it could fall asleep. */
#ifndef SPIN_H
#define SPIN_H

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct spin {
  /* Active: the loop looks for events without waiting for them. Undefined memory of libuv's until it is closed. */
  uv_idle_t *idle;
  napi_async_cleanup_hook_handle hook;
  /* When it goes to sleep after all, in nanoseconds (uv_hrtime). */
  uint64_t until;
  /* What staying awake has earned of late, 0 to MOST_CREDIT. */
  int32_t credit;
  /* Answers since the last trial, while there is no credit. */
  uint32_t skipped;
};

/* Gives 0 or an errno. */
int open_spin(napi_env env, struct spin *spin);

/* An answer has left: who got it may be about to ask again. */
void stay_awake(struct spin *spin);

#endif
