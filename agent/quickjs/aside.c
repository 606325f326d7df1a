/*
 * A file replaced in a process of its own: one whose disk is away waits in the kernel for as long as that lasts, and the
 * agent must not. Nobody collects the process by its id, so it may outlive a hand-over of process 1; what comes of it is
 * read from a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bw.h"

/*
 * Writes beside, syncs, renames, syncs the directory: 0 or an errno. One left behind beside it by a power cut may be open to
 * others: starts from none.
 */
static int replace(const char *path, const uint8_t *bytes, size_t length) {
  char beside[4096], directory[4096];
  if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside) return ENAMETOOLONG;
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (slash) slash[slash == directory] = 0;
  if (unlink(beside) < 0 && errno != ENOENT) return errno;
  int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  for (size_t done = 0; done < length;) {
    ssize_t put = write(fd, bytes + done, length - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    done += (size_t)put;
  }
  if (fsync(fd) < 0 || close(fd) < 0 || rename(beside, path) < 0) return errno;
  fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 || fsync(fd) < 0 ? errno : 0;
}

static JSValue replace_aside(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  size_t length;
  int report[2];
  const uint8_t *bytes = bw_bytes(ctx, argv[1], &length);
  const char *path = bytes ? JS_ToCString(ctx, argv[0]) : NULL;
  if (!path) return JS_EXCEPTION;
  JSValue result;
  pid_t child = -1;
  if (pipe2(report, O_CLOEXEC) < 0) {
    result = bw_fail(ctx, "replace", path);
  } else if ((child = fork()) < 0) {
    result = bw_fail(ctx, "replace", path);
    close(report[0]);
    close(report[1]);
  } else if (child == 0) {
    /* A connection that the agent closes meanwhile must not stay open here. */
    dup2(report[1], STDERR_FILENO + 1);
    close_range(STDERR_FILENO + 2, ~0U, 0);
    report[1] = STDERR_FILENO + 1;
    int number = replace(path, bytes, length);
    ssize_t told = write(report[1], &number, sizeof number);
    _exit(told == sizeof number ? 0 : 1);
  } else {
    close(report[1]);
    result = JS_NewInt32(ctx, report[0]);
  }
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue end_aside(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  int number = 0;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  /* It was killed where it has not said how it ended. */
  if (read(fd, &number, sizeof number) != sizeof number) number = EINTR;
  close(fd);
  if (number == 0) return JS_UNDEFINED;
  const char *path = JS_ToCString(ctx, argv[1]);
  if (!path) return JS_EXCEPTION;
  errno = number;
  JSValue error = bw_fail(ctx, "replace", path);
  JS_FreeCString(ctx, path);
  return error;
}

const JSCFunctionListEntry bw_aside_calls[] = {
    JS_CFUNC_DEF("replaceAside", 2, replace_aside),
    JS_CFUNC_DEF("endAside", 2, end_aside),
};
const int bw_aside_call_count = BW_COUNT(bw_aside_calls);
