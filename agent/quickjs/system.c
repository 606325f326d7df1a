/* Mounts, modules, memory, power, clocks and the console. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bw.h"
#include "console.h"

/* For so long a line waits for who reads a full pipe. */
#define FULL_PIPE_MS 1000

/* Every 10 ms. */
#define PROTECT_TRIES 50

/* For so long a restart waits for adapters to be down. */
#define ADAPTERS_SECONDS 3

static JSValue mount_fs(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  uint32_t flags;
  if (JS_ToUint32(ctx, &flags, argv[3])) return JS_EXCEPTION;
  const char *source = JS_ToCString(ctx, argv[0]), *target = JS_ToCString(ctx, argv[1]);
  const char *type = JS_ToCString(ctx, argv[2]), *data = JS_ToCString(ctx, argv[4]);
  JSValue result = JS_EXCEPTION;
  if (source && target && type && data)
    result = mount(source, target, *type ? type : NULL, flags, *data ? data : NULL) < 0 ? bw_fail(ctx, "mount", target)
                                                                                     : JS_UNDEFINED;
  JS_FreeCString(ctx, source);
  JS_FreeCString(ctx, target);
  JS_FreeCString(ctx, type);
  JS_FreeCString(ctx, data);
  return result;
}

/* One of the calls that take a path and nothing else, by `magic`. */
enum { CHANGE_ROOT, CHANGE_DIRECTORY };

static JSValue path_call(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic) {
  static const char *names[] = {"chroot", "chdir"};
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  int failed = magic == CHANGE_ROOT ? chroot(path) : chdir(path);
  JSValue result = failed ? bw_fail(ctx, names[magic], path) : JS_UNDEFINED;
  JS_FreeCString(ctx, path);
  return result;
}

/* finit_module(2). No error: a module that is already there, and one for what this machine has not (efivarfs without UEFI). */
static JSValue load_module(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  JSValue result = JS_UNDEFINED;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV)) result = bw_fail(ctx, "load module", path);
  if (fd >= 0) close(fd);
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue set_host_name(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *name = JS_ToCString(ctx, argv[0]);
  if (!name) return JS_EXCEPTION;
  JSValue result = sethostname(name, strlen(name)) < 0 ? bw_fail(ctx, "set host name", name) : JS_UNDEFINED;
  JS_FreeCString(ctx, name);
  return result;
}

/*
 * For a process that serves the disk which may be under its own files: it neither waits for memory that is freed by
 * writing to that disk (prctl(2)), nor is it what is ended when memory is short. What it starts inherits both.
 */
static JSValue become_io_flusher(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  static const char score[] = "/proc/self/oom_score_adj";
  JSValue result = JS_UNDEFINED;
  int fd = open(score, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "-1000", 5) < 0) result = bw_fail(ctx, "write", score);
  if (fd >= 0) close(fd);
  if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) < 0) result = bw_fail(ctx, "prctl", "PR_SET_IO_FLUSHER");
  return result;
}

/* Has a child do work that may never end: it is not waited for longer than `seconds`. Whether it has ended; -1 without a child. */
static int done_aside(void (*work)(void), double seconds) {
  const struct timespec pause = {.tv_nsec = 2000000};
  pid_t child = fork();
  if (child < 0) return -1;
  if (child == 0) {
    work();
    _exit(0);
  }
  for (; seconds > 0; seconds -= 0.002) {
    if (waitpid(child, NULL, WNOHANG) != 0) return 1;
    nanosleep(&pause, NULL);
  }
  return 0;
}

static void sync_and_protect(void) {
  const struct timespec pause = {.tv_nsec = 10000000};
  sync();
  /* What is just being closed or removed keeps the root writable for a moment more. */
  for (int tries = 0; tries < PROTECT_TRIES; tries++) {
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0 || errno != EBUSY) return;
    nanosleep(&pause, NULL);
  }
}

/*
 * Writes everything to the disks and makes the root read-only, in a child: a disk whose server is away would hold both
 * up for as long as it stays away. True where that was done within `seconds`. A root that files keep writable stays
 * so: what was written is synced, the journal does the rest.
 */
static JSValue settle_disks(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  double seconds;
  if (JS_ToFloat64(ctx, &seconds, argv[0])) return JS_EXCEPTION;
  int done = done_aside(sync_and_protect, seconds);
  return done < 0 ? bw_fail(ctx, "fork", "to sync") : JS_NewBool(ctx, done);
}

/*
 * Whoever may restart the machine takes the adapters down first: where a packet comes while a kernel shuts its devices down, virtio_net
 * may look for the end of a broken queue for good (seen with Linux 6.1; mended in August 2026 by "virtio_ring: fix infinite loop in
 * virtnet_poll_cleantx when device is broken"). RB_DISABLE_CAD is what tells that one may: a restart ends it.
 */
void bw_reboot(int how) {
  if (reboot(RB_DISABLE_CAD) == 0) done_aside(bw_lower_adapters, ADAPTERS_SECONDS);
  reboot(how);
}

/* reboot(2): false restarts, true powers off. */
static JSValue reboot_now(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  bw_reboot(JS_ToBool(ctx, argv[0]) ? RB_POWER_OFF : RB_AUTOBOOT);
  return bw_fail(ctx, "reboot", "machine");
}

/* Seconds of CLOCK_BOOTTIME: counts from the start of the kernel, through suspend. */
static JSValue uptime(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return JS_NewFloat64(ctx, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
}

/* getrandom(2): 53 bits, as a double has them. */
static JSValue random_number(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) return bw_fail(ctx, "getrandom", "number");
  return JS_NewFloat64(ctx, (double)(bits >> 11) / 9007199254740992.0);
}

static int write_all(int fd, const char *text, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t put = write(fd, text + done, length - done);
    if (put < 0 && errno == EINTR) continue;
    /* A pipe that another process set not to block, and is full. */
    if (put < 0 && errno == EAGAIN && poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, FULL_PIPE_MS) > 0) continue;
    if (put < 0) return -1;
    done += (size_t)put;
  }
  return 0;
}

static void print_line(int fd, const char *text, size_t length) {
  char *line = malloc(length + 1);
  if (!line) return;
  memcpy(line, text, length);
  line[length] = '\n';
  if (write_all(fd, line, length + 1) < 0 && (errno == EIO || errno == EBADF)) {
    /* An init that took over may have hung the console up: open it again and say it there. */
    int console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (console >= 0) {
      dup2(console, fd);
      if (console > STDERR_FILENO) close(console);
      write_all(fd, line, length + 1);
    }
  }
  free(line);
}

void bw_print(const char *text, size_t length) { print_line(STDOUT_FILENO, text, length); }

/* `magic` is the descriptor. */
static JSValue print(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic) {
  size_t length;
  const char *text = JS_ToCStringLen(ctx, &length, argv[0]);
  if (!text) return JS_EXCEPTION;
  print_line(magic, text, length);
  JS_FreeCString(ctx, text);
  return JS_UNDEFINED;
}

const JSCFunctionListEntry bw_system_calls[] = {
    JS_CFUNC_DEF("mount", 5, mount_fs),
    JS_CFUNC_MAGIC_DEF("changeRoot", 1, path_call, CHANGE_ROOT),
    JS_CFUNC_MAGIC_DEF("changeDirectory", 1, path_call, CHANGE_DIRECTORY),
    JS_CFUNC_DEF("loadModule", 1, load_module),
    JS_CFUNC_DEF("setHostName", 1, set_host_name),
    JS_CFUNC_DEF("becomeIoFlusher", 0, become_io_flusher),
    JS_CFUNC_DEF("settleDisks", 1, settle_disks),
    JS_CFUNC_DEF("rebootNow", 1, reboot_now),
    JS_CFUNC_DEF("uptime", 0, uptime),
    JS_CFUNC_DEF("random", 0, random_number),
    JS_CFUNC_MAGIC_DEF("print", 1, print, STDOUT_FILENO),
    JS_CFUNC_MAGIC_DEF("printError", 1, print, STDERR_FILENO),
};
const int bw_system_call_count = BW_COUNT(bw_system_calls);
