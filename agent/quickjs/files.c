/* Files and directories. Every descriptor is opened close-on-exec. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bw.h"

/* Covers the logical block size of every disk Linux reads directly. */
#define DIRECT_ALIGNMENT 4096

static const char *fd_name(int fd) {
  static char name[24];
  snprintf(name, sizeof name, "descriptor %d", fd);
  return name;
}

static void free_copy(JSRuntime *rt, void *opaque, void *bytes) {
  (void)rt, (void)opaque;
  free(bytes);
}

static JSValue open_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t flags, mode;
  if (JS_ToInt32(ctx, &flags, argv[1]) || JS_ToInt32(ctx, &mode, argv[2])) return JS_EXCEPTION;
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  int fd = open(path, flags | O_CLOEXEC | O_NOCTTY, (mode_t)mode);
  JSValue result = fd < 0 ? bw_fail(ctx, "open", path) : JS_NewInt32(ctx, fd);
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue close_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  close(fd);
  return JS_UNDEFINED;
}

/* Up to `max` bytes as an ArrayBuffer (empty at end of file), null where a non-blocking descriptor has none yet. */
static JSValue read_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  uint32_t max;
  if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToUint32(ctx, &max, argv[1])) return JS_EXCEPTION;
  uint8_t *bytes = malloc(max ? max : 1);
  if (!bytes) return JS_ThrowOutOfMemory(ctx);
  ssize_t got;
  do got = read(fd, bytes, max);
  while (got < 0 && errno == EINTR);
  JSValue result = got >= 0                                     ? JS_NewArrayBufferCopy(ctx, bytes, (size_t)got)
                   : errno == EAGAIN || errno == EWOULDBLOCK ? JS_NULL
                                                             : bw_fail(ctx, "read", fd_name(fd));
  free(bytes);
  return result;
}

/* Bytes written from a Uint8Array, -1 where a non-blocking descriptor takes none now. */
static JSValue write_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  size_t length;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  const uint8_t *bytes = bw_bytes(ctx, argv[1], &length);
  if (!bytes) return JS_EXCEPTION;
  ssize_t put;
  do put = write(fd, bytes, length);
  while (put < 0 && errno == EINTR);
  if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return bw_fail(ctx, "write", fd_name(fd));
  return JS_NewInt64(ctx, put);
}

/* All bytes of a Uint8Array at an offset. */
static JSValue pwrite_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  int64_t offset;
  size_t length;
  if (JS_ToInt32(ctx, &fd, argv[0]) || JS_ToInt64(ctx, &offset, argv[2])) return JS_EXCEPTION;
  const uint8_t *bytes = bw_bytes(ctx, argv[1], &length);
  if (!bytes) return JS_EXCEPTION;
  for (size_t done = 0; done < length;) {
    ssize_t put = pwrite(fd, bytes + done, length - done, offset + (off_t)done);
    if (put < 0 && errno == EINTR) continue;
    /* A device that takes nothing more and reports no error is full. */
    if (put == 0) errno = ENOSPC;
    if (put <= 0) return bw_fail(ctx, "pwrite", fd_name(fd));
    done += (size_t)put;
  }
  return JS_UNDEFINED;
}

static JSValue fsync_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  /* EINVAL: sysfs attributes and character devices have nothing to flush. */
  if (fsync(fd) < 0 && errno != EINVAL) return bw_fail(ctx, "fsync", fd_name(fd));
  return JS_UNDEFINED;
}

/* A whole file, whatever size stat() claims: /proc and /sys say 0 or 4096. */
static JSValue read_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  JSValue result;
  size_t size = 4096, length = 0;
  uint8_t *bytes = malloc(size);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  ssize_t got = fd < 0 ? -1 : 1;
  while (fd >= 0 && bytes && (got = read(fd, bytes + length, size - length)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    length += (size_t)got;
    if (length < size) continue;
    uint8_t *larger = realloc(bytes, size *= 2);
    if (!larger) free(bytes);
    bytes = larger;
  }
  if (!bytes) result = JS_ThrowOutOfMemory(ctx);
  else if (got < 0) result = bw_fail(ctx, fd < 0 ? "open" : "read", path), free(bytes);
  else result = JS_NewArrayBuffer(ctx, bytes, length, free_copy, NULL, 0);
  if (fd >= 0) close(fd);
  JS_FreeCString(ctx, path);
  return result;
}

/* One pread of a range widened to the alignment O_DIRECT asks for; bytes read, or -1. */
static ssize_t read_range(const char *path, int flags, uint8_t *bytes, size_t length, off_t offset) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | flags);
  if (fd < 0) return -1;
  if (!(flags & O_DIRECT)) posix_fadvise(fd, offset, (off_t)length, POSIX_FADV_DONTNEED);
  size_t done = 0;
  while (done < length) {
    ssize_t got = pread(fd, bytes + done, length - done, offset + (off_t)done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return close(fd), -1;
    done += (size_t)got;
    /* The end, or an unaligned tail that O_DIRECT could not go on from. */
    if (got == 0 || (flags & O_DIRECT && got % 512)) break;
  }
  close(fd);
  return (ssize_t)done;
}

/* What is stored at a range, past the page cache where the file allows it; shorter at the end of the file. */
static JSValue read_stored(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int64_t offset, length;
  if (JS_ToInt64(ctx, &offset, argv[1]) || JS_ToInt64(ctx, &length, argv[2])) return JS_EXCEPTION;
  if (offset < 0 || length < 0 || length > INT32_MAX) return errno = EINVAL, bw_fail(ctx, "read", "range");
  size_t lead = (size_t)(offset % DIRECT_ALIGNMENT);
  size_t whole = (lead + (size_t)length + DIRECT_ALIGNMENT - 1) / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT;
  void *space;
  if (posix_memalign(&space, DIRECT_ALIGNMENT, whole ? whole : DIRECT_ALIGNMENT)) return JS_ThrowOutOfMemory(ctx);
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return free(space), JS_EXCEPTION;
  ssize_t got = read_range(path, O_DIRECT, space, whole, offset - (off_t)lead);
  /* EINVAL: no direct I/O here (tmpfs, sysfs, MTD character devices). */
  if (got < 0 && errno == EINVAL) got = read_range(path, 0, space, whole, offset - (off_t)lead);
  JSValue result;
  if (got < 0) {
    result = bw_fail(ctx, "read", path);
  } else {
    size_t usable = (size_t)got > lead ? (size_t)got - lead : 0;
    if (usable > (size_t)length) usable = (size_t)length;
    result = JS_NewArrayBufferCopy(ctx, (uint8_t *)space + lead, usable);
  }
  JS_FreeCString(ctx, path);
  free(space);
  return result;
}

/* The inode flag FS_IMMUTABLE_FL (chattr +i). */
static JSValue set_immutable(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int on = JS_ToBool(ctx, argv[1]);
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  int flags, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  int failed = fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0;
  if (!failed) {
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    failed = ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0;
  }
  JSValue result = failed ? bw_fail(ctx, "change flags of", path) : JS_UNDEFINED;
  if (fd >= 0) close(fd);
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue list_directory(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  DIR *directory = opendir(path);
  JSValue names = directory ? JS_NewArray(ctx) : bw_fail(ctx, "list", path);
  JS_FreeCString(ctx, path);
  if (!directory) return names;
  uint32_t count = 0;
  for (struct dirent *entry; (entry = readdir(directory));)
    if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
      JS_SetPropertyUint32(ctx, names, count++, JS_NewString(ctx, entry->d_name));
  closedir(directory);
  return names;
}

static JSValue read_link(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  char target[PATH_MAX];
  ssize_t length = readlink(path, target, sizeof target);
  JSValue result = length < 0 ? bw_fail(ctx, "read link", path) : JS_NewStringLen(ctx, target, (size_t)length);
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue exists(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  int there = access(path, F_OK) == 0;
  JS_FreeCString(ctx, path);
  return JS_NewBool(ctx, there);
}

/* Throws where it cannot look: then it returns 0. */
static int stat_of(JSContext *ctx, JSValueConst name, struct stat *info) {
  const char *path = JS_ToCString(ctx, name);
  if (!path) return 0;
  int there = stat(path, info) == 0;
  if (!there) bw_fail(ctx, "stat", path);
  JS_FreeCString(ctx, path);
  return there;
}

/* Permission bits: the lower twelve of st_mode. */
static JSValue mode_of(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct stat info;
  return stat_of(ctx, argv[0], &info) ? JS_NewInt32(ctx, info.st_mode & 07777) : JS_EXCEPTION;
}

/* Device and inode, as stat() has them. */
static JSValue file_id(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct stat info;
  if (!stat_of(ctx, argv[0], &info)) return JS_EXCEPTION;
  char id[48];
  snprintf(id, sizeof id, "%llu:%llu", (unsigned long long)info.st_dev, (unsigned long long)info.st_ino);
  return JS_NewString(ctx, id);
}

/* One directory; one that is already there is no error. */
static JSValue make_directory(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  struct stat info;
  JSValue result = JS_UNDEFINED;
  if (mkdir(path, 0755) < 0 && !(errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode)))
    result = bw_fail(ctx, "mkdir", path);
  JS_FreeCString(ctx, path);
  return result;
}

static JSValue rename_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *from = JS_ToCString(ctx, argv[0]), *to = JS_ToCString(ctx, argv[1]);
  JSValue result = !from || !to ? JS_EXCEPTION : rename(from, to) < 0 ? bw_fail(ctx, "rename", from) : JS_UNDEFINED;
  JS_FreeCString(ctx, from);
  JS_FreeCString(ctx, to);
  return result;
}

/* A file or an empty directory; one that is not there is no error. */
static JSValue remove_path(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  const char *path = JS_ToCString(ctx, argv[0]);
  if (!path) return JS_EXCEPTION;
  JSValue result = remove(path) < 0 && errno != ENOENT ? bw_fail(ctx, "remove", path) : JS_UNDEFINED;
  JS_FreeCString(ctx, path);
  return result;
}

/* The lock of the open file, until its last descriptor is closed; false where another process has it. */
static JSValue lock_fd(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  int32_t fd;
  if (JS_ToInt32(ctx, &fd, argv[0])) return JS_EXCEPTION;
  int failed;
  do failed = flock(fd, LOCK_EX | LOCK_NB) < 0;
  while (failed && errno == EINTR);
  if (failed && errno != EWOULDBLOCK) return bw_fail(ctx, "flock", fd_name(fd));
  return JS_NewBool(ctx, !failed);
}

const JSCFunctionListEntry bw_file_calls[] = {
    JS_CFUNC_DEF("open", 3, open_file),
    JS_CFUNC_DEF("close", 1, close_fd),
    JS_CFUNC_DEF("read", 2, read_fd),
    JS_CFUNC_DEF("write", 2, write_fd),
    JS_CFUNC_DEF("pwrite", 3, pwrite_fd),
    JS_CFUNC_DEF("fsync", 1, fsync_fd),
    JS_CFUNC_DEF("readFile", 1, read_file),
    JS_CFUNC_DEF("readStored", 3, read_stored),
    JS_CFUNC_DEF("setImmutable", 2, set_immutable),
    JS_CFUNC_DEF("list", 1, list_directory),
    JS_CFUNC_DEF("readLink", 1, read_link),
    JS_CFUNC_DEF("exists", 1, exists),
    JS_CFUNC_DEF("mode", 1, mode_of),
    JS_CFUNC_DEF("fileId", 1, file_id),
    JS_CFUNC_DEF("makeDirectory", 1, make_directory),
    JS_CFUNC_DEF("rename", 2, rename_file),
    JS_CFUNC_DEF("remove", 1, remove_path),
    JS_CFUNC_DEF("lock", 1, lock_fd),
};
const int bw_file_call_count = BW_COUNT(bw_file_calls);
