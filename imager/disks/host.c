/*
 * What disks need that Node has not, or not as fast (N-API).
 *
 *   read(fd, bytes, from, offset)   pread of what fills `bytes` from its byte `from` on: the count, or a negative errno
 *   write(fd, bytes, from, offset)  pwrite of the same
 *   begin()                         a call of another kind begins
 *   slept()                         whether the last of these three gave the processor up to wait for something, as for a
 *                                   drive: not so where it was taken from it
 *   checksums(bytes, crcs, width)
 *                                   puts the CRC-32 of each 4096 of `bytes` into `crcs`: false where this processor
 *                                   cannot, and where `crcs` is not as long as that. `width`: see crc32.h
 *   wrong(bytes, entries, from)     the first 4096 of `bytes`, counted from 0, whose CRC-32 is not the second word of its
 *                                   entry, of two words each, the first one's that with the number `from`; -1: none, -2:
 *                                   this processor cannot tell, or there are fewer entries
 *
 * These return 0 or an errno:
 *   punch(fd, offset, length)   gives the space of a range back; the range reads as zeroes (fallocate)
 *   reserve(fd, offset, length) has space for a range behind the file's end, which stays where it is (fallocate)
 *   lock(fd)                    takes the file for this process (flock): 11 where another one has it. The kernel gives
 *                               it free when the file is closed, also by SIGKILL
 */
#define _GNU_SOURCE
#include "../native/addon.h"
#include "crc32.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <node_api.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BLOCK_SIZE = 4096 };

/* As the last call began. */
static struct rusage before;

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

struct range {
  int fd;
  uint8_t *bytes;
  size_t length;
  int64_t offset;
};

static struct range range_of(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value values[4];
  struct range range = {.fd = -1};
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_typedarray_info(env, values[1], NULL, &range.length, (void **)&range.bytes, NULL, NULL);
  uint32_t from = 0;
  napi_get_value_uint32(env, values[2], &from);
  if (from > range.length) from = range.length;
  range.bytes += from;
  range.length -= from;
  range.offset = number(env, values[3]);
  napi_get_value_int32(env, values[0], &range.fd);
  getrusage(RUSAGE_THREAD, &before);
  return range;
}

static napi_value transfer(napi_env env, napi_callback_info info, bool writes) {
  struct range range = range_of(env, info);
  ssize_t count;
  do count = writes ? pwrite(range.fd, range.bytes, range.length, range.offset)
                    : pread(range.fd, range.bytes, range.length, range.offset);
  while (count < 0 && errno == EINTR);
  return answer(env, count < 0 ? -errno : count);
}

static napi_value read_range(napi_env env, napi_callback_info info) { return transfer(env, info, false); }

static napi_value write_range(napi_env env, napi_callback_info info) { return transfer(env, info, true); }

static napi_value begin(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  getrusage(RUSAGE_THREAD, &before);
  return NULL;
}

static napi_value slept(napi_env env, napi_callback_info info) {
  (void)info;
  struct rusage now;
  napi_value value;
  getrusage(RUSAGE_THREAD, &now);
  napi_get_boolean(env, now.ru_nvcsw != before.ru_nvcsw, &value);
  return value;
}

/* Arguments: whole blocks, words for them, and a number. */
struct summed {
  uint8_t *bytes;
  size_t blocks;
  uint32_t *words;
  size_t count;
  uint32_t number;
};

static struct summed summed_of(napi_env env, napi_callback_info info) {
  size_t count = 3, length = 0;
  napi_value values[3];
  struct summed it = {0};
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_typedarray_info(env, values[0], NULL, &length, (void **)&it.bytes, NULL, NULL);
  napi_get_typedarray_info(env, values[1], NULL, &it.count, (void **)&it.words, NULL, NULL);
  napi_get_value_uint32(env, values[2], &it.number);
  it.blocks = length / BLOCK_SIZE;
  return it;
}

static uint32_t sum_of(struct summed it, size_t block, unsigned width) {
  return crc32_folded(it.bytes + block * BLOCK_SIZE, BLOCK_SIZE, width);
}

static napi_value checksums(napi_env env, napi_callback_info info) {
  struct summed it = summed_of(env, info);
  napi_value value;
  bool can = crc32_available() && it.count == it.blocks;
  for (size_t i = 0; can && i < it.blocks; i++) it.words[i] = sum_of(it, i, it.number);
  napi_get_boolean(env, can, &value);
  return value;
}

static napi_value wrong(napi_env env, napi_callback_info info) {
  struct summed it = summed_of(env, info);
  if (!crc32_available() || 2 * (it.number + it.blocks) > it.count) return answer(env, -2);
  const uint32_t *entries = it.words + 2 * (size_t)it.number;
  for (size_t i = 0; i < it.blocks; i++)
    if (sum_of(it, i, CRC32_WIDEST) != entries[2 * i + 1]) return answer(env, (int64_t)i);
  return answer(env, -1);
}

static napi_value allocate(napi_env env, napi_callback_info info, int mode) {
  size_t count = 3;
  napi_value values[3];
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  int64_t fd = number(env, values[0]), offset = number(env, values[1]), length = number(env, values[2]);
  int result;
  do result = fallocate((int)fd, mode | FALLOC_FL_KEEP_SIZE, offset, length);
  while (result != 0 && errno == EINTR);
  return answer(env, result == 0 ? 0 : errno);
}

static napi_value punch(napi_env env, napi_callback_info info) {
  return allocate(env, info, FALLOC_FL_PUNCH_HOLE);
}

static napi_value reserve(napi_env env, napi_callback_info info) { return allocate(env, info, 0); }

static napi_value lock(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  return answer(env, flock((int)number(env, values[0]), LOCK_EX | LOCK_NB) == 0 ? 0 : errno);
}

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  static const struct function functions[] = {
      {"read", read_range}, {"write", write_range}, {"begin", begin},     {"slept", slept},
      {"checksums", checksums}, {"wrong", wrong}, {"punch", punch}, {"reserve", reserve}, {"lock", lock},
  };
  export_functions(env, exports, sizeof functions / sizeof *functions, functions);
  return exports;
}
