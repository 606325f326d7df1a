/*
 * Between the kernel's block device and the imager: answers reads from a pack in memory, passes everything else on.
 *
 * The NBD protocol is big-endian (doc/proto.md of the reference implementation: "Request message", "Simple reply
 * message"; the agent's handshake asks for no other replies). Requests go on in the order they came. A block that is
 * written, zeroed or trimmed is forgotten when the request is seen, before any later read is looked at. Where either
 * side hangs up so does the relay, and the kernel sees what it sees of a server that is gone.
 */
#include "relay.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "pack.h"
#include "stream.h"

#define REQUEST_MAGIC 0x25609513u
#define REPLY_MAGIC 0x67446698u
#define REQUEST_SIZE 28u
#define REPLY_SIZE 16u
enum { CMD_READ = 0, CMD_WRITE = 1, CMD_DISC = 2, CMD_FLUSH = 3, CMD_CACHE = 5 };

/*
 * The boot is taken to be over when the pack answered nothing for a while, or after the first time in any case. The
 * relay leaves then, in a moment without requests, after the second one in whatever moment none is under way.
 */
#define PATIENCE_SECONDS 20
#define LIFE_SECONDS 300
#define URGENT_SECONDS 360
#define QUIET_MS 50

/* Longer reads are left to the imager. */
#define MOST_READ (256u * 1024)
#define IN_SIZE (64u * 1024)
#define UP_SIZE (256u * 1024)
#define DOWN_SIZE (MOST_READ + 64u * 1024)
/* Requests passed on and not answered; the kernel has 128 at most. */
#define MOST_PENDING 256

struct relay {
  int kernel, imager;
  double patience;
  struct pack pack;
  struct stream in, up, down;
  /* Bytes of a write's payload, and of the imager's present reply, that are still to pass. */
  size_t payload, reply;
  struct {
    uint64_t cookie;
    uint32_t length;
    int used;
  } pending[MOST_PENDING];
  int pending_count;
  unsigned long hits, passed;
};

static uint32_t be32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return be32toh(value);
}

static uint64_t be64(const uint8_t *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return be64toh(value);
}

/* Notes a request that is passed on: its reply has `length` bytes of data where it is no error. */
static void expect(struct relay *r, uint64_t cookie, uint32_t length) {
  int slot = 0;
  while (r->pending[slot].used) slot++;
  r->pending[slot].cookie = cookie;
  r->pending[slot].length = length;
  r->pending[slot].used = 1;
  r->pending_count++;
}

/* Looks at the next request. 1: taken; 0: more bytes, or room, are needed; -1: it is none. */
static int next_request(struct relay *r) {
  if (r->payload > 0) {
    size_t moved = stream_move(&r->in, &r->up, r->payload);
    r->payload -= moved;
    return moved > 0;
  }
  if (stream_held(&r->in) < REQUEST_SIZE) return 0;
  const uint8_t *head = r->in.bytes + r->in.from;
  if (be32(head) != REQUEST_MAGIC) return -1;
  unsigned type = (unsigned)head[6] << 8 | head[7];
  uint64_t cookie = be64(head + 8), offset = be64(head + 16);
  uint32_t length = be32(head + 24);
  if (type == CMD_READ && length > 0 && length <= MOST_READ) {
    /* An answer of ours goes between two of the imager's. */
    if (r->reply > 0 || !stream_has_room(&r->down, REPLY_SIZE + length)) return 0;
    uint8_t *reply = r->down.bytes + r->down.to;
    if (pack_read(&r->pack, reply + REPLY_SIZE, offset, length)) {
      uint32_t magic = htobe32(REPLY_MAGIC);
      memcpy(reply, &magic, 4);
      memset(reply + 4, 0, 4);
      memcpy(reply + 8, head + 8, 8);
      r->down.to += REPLY_SIZE + length;
      r->in.from += REQUEST_SIZE;
      r->hits++;
      return 1;
    }
  }
  if (r->pending_count == MOST_PENDING || !stream_has_room(&r->up, REQUEST_SIZE)) return 0;
  if (type != CMD_DISC) expect(r, cookie, type == CMD_READ ? length : 0);
  if (type == CMD_READ) r->passed++;
  else if (type != CMD_DISC && type != CMD_FLUSH && type != CMD_CACHE) pack_forget(&r->pack, offset, length);
  if (type == CMD_WRITE) r->payload = length;
  stream_put(&r->up, head, REQUEST_SIZE);
  r->in.from += REQUEST_SIZE;
  return 1;
}

/* Reads of the imager's reply what may be read now: its head, or the rest of its data, never beyond its end. */
static int take_reply(struct relay *r, uint8_t *head, size_t *head_length) {
  if (r->reply > 0) {
    size_t before = r->down.to - r->down.from;
    int result = stream_take(r->imager, &r->down, r->reply);
    r->reply -= r->down.to - r->down.from - before;
    return result;
  }
  if (!stream_has_room(&r->down, REPLY_SIZE)) return 0;
  ssize_t got = recv(r->imager, head + *head_length, REPLY_SIZE - *head_length, MSG_DONTWAIT);
  if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
  *head_length += (size_t)got;
  if (*head_length < REPLY_SIZE) return 1;
  *head_length = 0;
  if (be32(head) != REPLY_MAGIC) return -1;
  uint64_t cookie = be64(head + 8);
  int slot = 0;
  while (slot < MOST_PENDING && !(r->pending[slot].used && r->pending[slot].cookie == cookie)) slot++;
  /* An answer to nothing: where it ends cannot be known. */
  if (slot == MOST_PENDING) return -1;
  r->pending[slot].used = 0;
  r->pending_count--;
  if (be32(head + 4) == 0) r->reply = r->pending[slot].length;
  stream_put(&r->down, head, REPLY_SIZE);
  return 1;
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Nothing is under way: the kernel waits for no answer, and nothing of a request or a reply is here. */
static int idle(struct relay *r) {
  if (r->pending_count > 0 || r->payload > 0) return 0;
  return stream_held(&r->in) + stream_held(&r->up) + stream_held(&r->down) == 0;
}

/* Serves until the boot is over (1) or one side is gone (0). */
static int serve(struct relay *r) {
  uint8_t head[REPLY_SIZE];
  size_t head_length = 0;
  double begun = seconds(), used = begun;
  for (;;) {
    unsigned long hits = r->hits;
    int taken;
    while ((taken = next_request(r)) > 0) continue;
    if (taken < 0) return 0;
    double now = seconds();
    if (r->hits != hits) used = now;
    int over = now - used > r->patience || now - begun > LIFE_SECONDS;
    struct pollfd set[2] = {{.fd = r->kernel}, {.fd = r->imager}};
    set[0].events = (short)((stream_room(&r->in) > 0 ? POLLIN : 0) | (stream_held(&r->down) > 0 ? POLLOUT : 0));
    int may_answer = stream_has_room(&r->down, REPLY_SIZE);
    set[1].events = (short)((may_answer ? POLLIN : 0) | (stream_held(&r->up) > 0 ? POLLOUT : 0));
    int ready = poll(set, 2, over ? QUIET_MS : 1000);
    if (ready < 0 && errno != EINTR) return 0;
    if (over && idle(r) && (ready == 0 || now - begun > URGENT_SECONDS)) return 1;
    if (ready <= 0) continue;
    if (set[0].revents & POLLHUP && stream_room(&r->in) == 0) return 0;
    if (set[0].revents & (POLLOUT | POLLERR) && stream_give(r->kernel, &r->down) < 0) return 0;
    if (set[1].revents & (POLLOUT | POLLERR) && stream_give(r->imager, &r->up) < 0) return 0;
    if (set[0].revents & (POLLIN | POLLHUP) && stream_take(r->kernel, &r->in, SIZE_MAX) < 0) return 0;
    if (set[1].revents & (POLLIN | POLLHUP)) {
      int got;
      while ((got = take_reply(r, head, &head_length)) > 0) continue;
      if (got < 0) return 0;
    }
  }
}

/*
 * Says goodbye to the imager, so that the disk is free, and to the console. The kernel is told by the end of its
 * socket, as of a server that restarts, and is given a connection of its own by the keeper.
 */
static void leave(struct relay *r, const char *name) {
  uint8_t disconnect[REQUEST_SIZE] = {0x25, 0x60, 0x95, 0x13, 0, 0, 0, CMD_DISC};
  char line[160];
  int size = snprintf(line, sizeof line, "bootwright: disk %s: booted, %lu reads from its pack, %lu from the imager",
                      name, r->hits, r->passed);
  if (size > 0) bw_print(line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
  if (stream_has_room(&r->up, REQUEST_SIZE)) stream_put(&r->up, disconnect, REQUEST_SIZE);
}

/* What was answered before the end leaves yet; the kernel is still there to take it. */
static void finish(struct relay *r) {
  struct pollfd one = {.fd = r->kernel, .events = POLLOUT};
  while (stream_held(&r->down) > 0 && poll(&one, 1, 1000) > 0 && stream_give(r->kernel, &r->down) > 0) continue;
  one = (struct pollfd){.fd = r->imager, .events = POLLOUT};
  while (stream_held(&r->up) > 0 && poll(&one, 1, 1000) > 0 && stream_give(r->imager, &r->up) > 0) continue;
}

int relay_run(int kernel, int imager, double patience, const char *name, struct pack *pack) {
  struct relay r = {.kernel = kernel, .imager = imager, .patience = patience, .pack = *pack};
  if (!stream_open(&r.in, IN_SIZE) || !stream_open(&r.up, UP_SIZE) || !stream_open(&r.down, DOWN_SIZE)) return 1;
  if (serve(&r)) leave(&r, name);
  finish(&r);
  return 0;
}

/* The child's side of relay_start(): never returns. It is an I/O flusher as the keeper that started it is (system.c). */
static void become(int kernel, int imager, const char *name, struct pack *pack) {
  setsid();
  /* A system that shuts down ends its processes first, and writes to its disk after that. */
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  /* Whatever else the process had open is its parent's. */
  int high_kernel = fcntl(kernel, F_DUPFD_CLOEXEC, 64), high_imager = fcntl(imager, F_DUPFD_CLOEXEC, 64);
  dup2(high_kernel, 3);
  dup2(high_imager, 4);
  close_range(5, ~0u, 0);
  _exit(relay_run(3, 4, PATIENCE_SECONDS, name, pack));
}

int relay_start(int imager, const char *name, const uint8_t *bytes, size_t length, uint64_t disk_size,
                const char **why) {
  struct pack pack;
  int pair[2];
  *why = pack_open(&pack, bytes, length, disk_size);
  if (*why) return -1;
  pid_t child = -1;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
    child = fork();
    if (child == 0) close(pair[0]), become(pair[1], imager, name, &pack);
    close(pair[1]);
    if (child < 0) close(pair[0]);
  }
  if (child < 0) *why = strerror(errno);
  pack_free(&pack);
  return child < 0 ? -1 : pair[0];
}
