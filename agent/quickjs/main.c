/* The agent's executable: a QuickJS context, the module "bw", the compiled bundle, the event loop. */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "bw.h"
#include "console.h"

#define STACK_BYTES (2 * 1024 * 1024)
/* More than the agent takes to start: no search for garbage where there is none yet. QuickJS sets its own limit after the first. */
#define FIRST_COLLECTION_BYTES (2 * 1024 * 1024)
/* What one that boots or supervises a node uses before it can act, less a little. */
#define START_BYTES (768 * 1024)
#define LARGE_BYTES (128 * 1024)
#define LAST_WORDS_SECONDS 5

/* Of Linux 5.14; C libraries before 2.35 do not name it. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static int rejection_count;
static struct {
  void *promise;
  JSValue reason;
} rejections[64];

/* Nothing can go on: say why; as process 1 leave time to read it, then restart (an exit would panic the kernel). */
static void die(JSContext *ctx, JSValueConst error) {
  const char *text = JS_ToCString(ctx, error);
  JSValue stack_value = JS_IsError(ctx, error) ? JS_GetPropertyStr(ctx, error, "stack") : JS_UNDEFINED;
  const char *stack = JS_IsUndefined(stack_value) ? NULL : JS_ToCString(ctx, stack_value);
  size_t size = (text ? strlen(text) : 0) + (stack ? strlen(stack) : 0) + 32;
  char *message = malloc(size);
  if (message) {
    int length = snprintf(message, size, "agent: fatal: %s\n%s", text ? text : "?", stack ? stack : "");
    while (length > 0 && message[length - 1] == '\n') length--;
    bw_print(message, (size_t)length);
  }
  if (getpid() == 1) {
    sync();
    sleep(LAST_WORDS_SECONDS);
    bw_reboot(RB_AUTOBOOT);
  }
  exit(1);
}

static void die_of_exception(JSContext *ctx) { die(ctx, JS_GetException(ctx)); }

/* A rejection counts only where nobody handled it by the time the job queue is empty. */
static void track_rejection(JSContext *ctx, JSValueConst promise, JSValueConst reason, JS_BOOL handled, void *opaque) {
  (void)opaque;
  void *key = JS_VALUE_GET_PTR(promise);
  if (!handled) {
    if (rejection_count == (int)(sizeof rejections / sizeof rejections[0])) die(ctx, reason);
    rejections[rejection_count].promise = key;
    rejections[rejection_count++].reason = JS_DupValue(ctx, reason);
    return;
  }
  for (int i = 0; i < rejection_count; i++) {
    if (rejections[i].promise != key) continue;
    JS_FreeValue(ctx, rejections[i].reason);
    rejections[i] = rejections[--rejection_count];
    return;
  }
}

void bw_watch_rejections(JSRuntime *rt, int watched) {
  JS_SetHostPromiseRejectionTracker(rt, watched ? track_rejection : NULL, NULL);
}

static void run_jobs(JSRuntime *rt, JSContext *ctx) {
  JSContext *failed;
  int outcome;
  while ((outcome = JS_ExecutePendingJob(rt, &failed)) != 0)
    if (outcome < 0) die_of_exception(failed);
  if (rejection_count > 0) die(ctx, rejections[0].reason);
}

/* Descriptors 0 to 2 must be taken, or the next file opened would be written to by print(). */
static void open_standard_streams(void) {
  for (int fd = 0; fd < 3; fd++) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/console", O_RDWR | O_NOCTTY) >= 0 || open("/dev/null", O_RDWR) >= 0) continue;
    memfd_create("no console", 0);
  }
}

/*
 * Has the memory that a start uses at once, not page by page as it is touched: that is a third of a start where the machine is
 * emulated. An older kernel refuses, and it comes page by page. Not for a keeper, which lives as long as the node is up, with less.
 */
static void take_memory(void) {
  if (bw_arguments[0] && !strcmp(bw_arguments[0], "keeper")) return;
  /* From the heap, which keeps it when it is free. */
  mallopt(M_MMAP_THRESHOLD, 2 * START_BYTES);
  mallopt(M_TRIM_THRESHOLD, 2 * START_BYTES);
  void *memory = malloc(START_BYTES);
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  if (memory) madvise((void *)((uintptr_t)memory & ~(page - 1)), START_BYTES, MADV_POPULATE_WRITE);
  free(memory);
  mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
}

/* What the agent uses of the language. Not eval: there is no source text to read, and nothing that reads it in the binary. */
static JSContext *new_context(JSRuntime *rt) {
  JSContext *ctx = JS_NewContextRaw(rt);
  if (!ctx) return NULL;
  JS_AddIntrinsicBaseObjects(ctx);
  JS_AddIntrinsicDate(ctx);
  JS_AddIntrinsicRegExp(ctx);
  JS_AddIntrinsicJSON(ctx);
  JS_AddIntrinsicMapSet(ctx);
  JS_AddIntrinsicTypedArrays(ctx);
  JS_AddIntrinsicPromise(ctx);
  JS_AddIntrinsicWeakRef(ctx);
  return ctx;
}

int main(int argc, char **argv) {
  bw_arguments = argc > 0 ? argv + 1 : argv;
  signal(SIGPIPE, SIG_IGN);
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  open_standard_streams();
  take_memory();

  JSRuntime *rt = JS_NewRuntime();
  JSContext *ctx = rt ? new_context(rt) : NULL;
  if (!ctx || !bw_declare(ctx)) return 1;
  JS_SetMaxStackSize(rt, STACK_BYTES);
  JS_SetGCThreshold(rt, FIRST_COLLECTION_BYTES);
  bw_watch_rejections(rt, 1);

  JS_SetModuleLoaderFunc(rt, NULL, bw_load_module, NULL);
  /* A promise: what the module throws is its rejection, which run_jobs() finds. */
  JSValue result = JS_LoadModule(ctx, "", "main.js");
  if (JS_IsException(result)) die_of_exception(ctx);
  JS_FreeValue(ctx, result);

  for (;;) {
    run_jobs(rt, ctx);
    JSValue more = JS_Call(ctx, bw_loop(), JS_UNDEFINED, 0, NULL);
    if (JS_IsException(more)) die_of_exception(ctx);
    if (!JS_ToBool(ctx, more) && !JS_IsJobPending(rt)) break;
  }
  if (getpid() == 1) {
    JS_ThrowInternalError(ctx, "process 1 has nothing left to wait for");
    die_of_exception(ctx);
  }
  return 0;
}
