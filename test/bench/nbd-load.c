/*
 * An NBD client that does as little as a client can, so that a benchmark compares servers: one thread, the requests
 * that follow from one read of the socket leave in one write, long payloads are thrown away unread.
 *
 *   nbd-load ADDRESS PORT EXPORT read|write sequential|random BLOCK DEPTH CONNECTIONS REQUESTS FLUSH SEED
 *
 * REQUESTS is the number in all, DEPTH counts for each connection. A % in EXPORT becomes the connection's number.
 * With FLUSH above 0 a flush follows every so many requests of a connection, alone. Requests go round the export from
 * its start, or anywhere (a SEED gives the same places each time). Prints "seconds S", from first request to last reply.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST = 28, REPLY = 16, ROOM = 256 * 1024, MOST = 512, READ = 0, WRITE = 1, FLUSH = 3 };

struct connection {
  int fd;
  uint64_t size, next, seed;
  unsigned flying, unflushed;
  bool flushing;
  /* A header that came in part; bytes of payload still to come. */
  uint8_t head[REPLY];
  size_t begun, payload;
};

static size_t block;
static unsigned depth, flush_every;
static int command;
static bool anywhere;
static long left, waiting;
static uint8_t *payload, room[ROOM];

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void take(int fd, void *bytes, size_t length) {
  if (length > 0 && recv(fd, bytes, length, MSG_WAITALL) != (ssize_t)length) die("recv");
}

static void give(int fd, struct iovec *parts, size_t count) {
  while (count > 0) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0) die("send");
    for (; count > 0 && (size_t)sent >= parts->iov_len; parts++, count--) sent -= parts->iov_len;
    if (count == 0) return;
    parts->iov_base = (uint8_t *)parts->iov_base + sent;
    parts->iov_len -= sent;
  }
}

static void put(uint8_t *at, uint64_t value, size_t length) {
  for (size_t i = 0; i < length; i++) at[i] = value >> (8 * (length - 1 - i));
}

static uint64_t get(const uint8_t *at, size_t length) {
  uint64_t value = 0;
  for (size_t i = 0; i < length; i++) value = value << 8 | at[i];
  return value;
}

/* Connects, each number from an address of its own as nodes do, and opens the export with NBD_OPT_GO. */
static void attach(struct connection *to, const struct sockaddr_in *place, const char *name, uint32_t number) {
  uint8_t bytes[4096];
  int one = 1;
  struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001 + number)};
  to->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(to->fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind");
  if (connect(to->fd, (const struct sockaddr *)place, sizeof *place) < 0) die("connect");
  setsockopt(to->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  take(to->fd, bytes, 18);
  size_t length = strlen(name);
  put(bytes, 3, 4);
  memcpy(bytes + 4, "IHAVEOPT", 8);
  put(bytes + 12, 7, 4);
  put(bytes + 16, 6 + length, 4);
  put(bytes + 20, length, 4);
  memcpy(bytes + 24, name, length);
  put(bytes + 24 + length, 0, 2);
  struct iovec part = {bytes, 26 + length};
  give(to->fd, &part, 1);
  for (;;) {
    take(to->fd, bytes, 20);
    uint64_t type = get(bytes + 12, 4), rest = get(bytes + 16, 4);
    if (rest > sizeof bytes) exit(1);
    take(to->fd, bytes, rest);
    if (type == 1) return;
    if (type != 3) {
      fprintf(stderr, "%s: refused: %.*s\n", name, (int)rest, bytes);
      exit(1);
    }
    if (get(bytes, 2) == 0) to->size = get(bytes + 2, 8);
  }
}

static uint64_t place(struct connection *of) {
  uint64_t blocks = of->size / block, at = of->next++ % blocks;
  if (!anywhere) return at * block;
  of->seed ^= of->seed << 13;
  of->seed ^= of->seed >> 7;
  of->seed ^= of->seed << 17;
  return of->seed % blocks * block;
}

/* Sends as many requests as may fly. */
static void fill(struct connection *on) {
  static uint8_t heads[MOST][REQUEST];
  struct iovec parts[2 * MOST];
  size_t count = 0, made = 0;
  while (on->flying < depth && !on->flushing && made < MOST) {
    bool flush = flush_every > 0 && on->unflushed == flush_every;
    if ((flush && on->flying > 0) || (!flush && left == 0)) break;
    uint8_t *head = heads[made++];
    put(head, 0x25609513, 4);
    put(head + 4, flush ? FLUSH : command, 4);
    put(head + 8, flush, 8);
    put(head + 16, flush ? 0 : place(on), 8);
    put(head + 24, flush ? 0 : block, 4);
    parts[count++] = (struct iovec){head, REQUEST};
    if (!flush && command == WRITE) parts[count++] = (struct iovec){payload, block};
    on->flying++;
    waiting++;
    if (flush) {
      on->flushing = true;
      on->unflushed = 0;
    } else {
      on->unflushed++;
      left--;
    }
  }
  give(on->fd, parts, count);
}

static void answer(struct connection *to) {
  if (get(to->head, 4) != 0x67446698 || get(to->head + 4, 4) != 0) {
    fprintf(stderr, "error %lu\n", (unsigned long)get(to->head + 4, 4));
    exit(1);
  }
  bool flushed = get(to->head + 8, 8) == 1;
  if (flushed) to->flushing = false;
  if (!flushed && command == READ) to->payload = block;
  to->flying--;
  waiting--;
}

static void receive(struct connection *from) {
  int one = 1;
  /* Who waits for a flush sends nothing: servers with Nagle's algorithm on would wait 40 ms for our acknowledgement. */
  if (flush_every > 0) setsockopt(from->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
  bool skip = from->payload > ROOM;
  ssize_t length = recv(from->fd, room, skip ? from->payload : ROOM, skip ? MSG_TRUNC : 0);
  if (length <= 0) die("recv");
  for (size_t at = 0; at < (size_t)length;) {
    size_t there = (size_t)length - at;
    if (from->payload > 0) {
      size_t some = there < from->payload ? there : from->payload;
      from->payload -= some;
      at += some;
      continue;
    }
    size_t some = there < REPLY - from->begun ? there : REPLY - from->begun;
    memcpy(from->head + from->begun, room + at, some);
    from->begun += some;
    at += some;
    if (from->begun < REPLY) break;
    from->begun = 0;
    answer(from);
  }
  fill(from);
}

int main(int count, char **words) {
  if (count != 12) return 2;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2]))};
  inet_pton(AF_INET, words[1], &to.sin_addr);
  command = strcmp(words[4], "write") == 0 ? WRITE : READ;
  anywhere = strcmp(words[5], "random") == 0;
  block = strtoul(words[6], NULL, 10);
  depth = (unsigned)atoi(words[7]);
  int connections = atoi(words[8]);
  left = atol(words[9]);
  flush_every = (unsigned)atoi(words[10]);
  payload = malloc(block);
  struct connection *all = calloc((size_t)connections, sizeof *all);
  int ring = epoll_create1(0);
  if (payload == NULL || all == NULL || ring < 0 || depth > MOST) die("start");
  for (size_t i = 0; i < block; i++) payload[i] = (uint8_t)(i * 7 + i / 256);
  for (int i = 0; i < connections; i++) {
    char name[256];
    const char *mark = strchr(words[3], '%');
    if (mark == NULL) snprintf(name, sizeof name, "%s", words[3]);
    else snprintf(name, sizeof name, "%.*s%d%s", (int)(mark - words[3]), words[3], i, mark + 1);
    attach(&all[i], &to, name, (uint32_t)i);
    all[i].seed = 88172645463325252u * (strtoul(words[11], NULL, 10) + 1) + (uint64_t)i;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    epoll_ctl(ring, EPOLL_CTL_ADD, all[i].fd, &event);
  }
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 0; i < connections; i++) fill(&all[i]);
  while (waiting > 0 || left > 0) {
    struct epoll_event events[64];
    /* One connection alone is waited for in recv itself. */
    if (connections == 1) {
      receive(&all[0]);
      continue;
    }
    int ready = epoll_wait(ring, events, 64, -1);
    for (int i = 0; i < ready; i++) receive(events[i].data.ptr);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("seconds %.6f\n", (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
  /* NBD_CMD_DISC: a server must not take the end for a crash. */
  for (int i = 0; i < connections; i++) {
    uint8_t head[REQUEST] = {0};
    put(head, 0x25609513, 4);
    put(head + 4, 2, 4);
    struct iovec part = {head, REQUEST};
    give(all[i].fd, &part, 1);
    close(all[i].fd);
  }
  return 0;
}
