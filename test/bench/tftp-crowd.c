/*
 * Many TFTP clients in one thread that do as little as clients can, so that a benchmark compares servers: each fetches the
 * same file in lockstep, from an address of its own.
 *
 *   tftp-crowd CLIENTS ADDRESS PORT FILE LENGTH FIRST
 *
 * The clients have the addresses from FIRST on. What comes is counted and thrown away; it must come to LENGTH bytes for
 * each client. An answer that does not come within a second is asked for again. Prints "seconds S", from the first request
 * to the last acknowledgement.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLKSIZE = 1468, HEADER = 4, MOST = 512, RETRY_MS = 1000, LOOK_MS = 100, DATA = 3, ACK = 4, OACK = 6 };

struct client {
  int fd;
  bool connected;
  uint16_t block;
  long bytes;
  double sent_at;
};

static struct sockaddr_in server;
static uint8_t request[MOST], packet[HEADER + BLKSIZE + 1];
static size_t request_length;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The latest packet: the request until the server's port is known, then the ACK of what came. */
static void say(struct client *client) {
  client->sent_at = now();
  if (!client->connected) {
    if (sendto(client->fd, request, request_length, 0, (void *)&server, sizeof server) < 0) die("sendto");
    return;
  }
  const uint8_t ack[HEADER] = {0, ACK, (uint8_t)(client->block >> 8), (uint8_t)client->block};
  if (send(client->fd, ack, sizeof ack, 0) < 0) die("send");
}

/* Takes one packet; gives whether it was the last one. */
static bool take(struct client *client) {
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  ssize_t length = client->connected ? recv(client->fd, packet, sizeof packet, MSG_DONTWAIT)
                                     : recvfrom(client->fd, packet, sizeof packet, MSG_DONTWAIT, (void *)&from, &size);
  if (length < HEADER) die("recv");
  if (!client->connected) {
    if (connect(client->fd, (void *)&from, sizeof from) < 0) die("connect");
    client->connected = true;
  }
  bool last = false;
  switch (packet[1]) {
    case OACK:
      break;
    case DATA:
      if ((packet[2] << 8 | packet[3]) != (uint16_t)(client->block + 1)) return false;
      client->block++;
      client->bytes += length - HEADER;
      last = length < HEADER + BLKSIZE;
      break;
    default:
      fprintf(stderr, "unexpected packet %d: %.*s\n", packet[1], (int)length - HEADER, packet + HEADER);
      exit(1);
  }
  say(client);
  return last;
}

static int open_client(in_addr_t address) {
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = address};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) die("socket");
  if (bind(fd, (void *)&own, sizeof own) < 0) die("bind");
  return fd;
}

int main(int count, char **words) {
  if (count != 7) return fprintf(stderr, "see tftp-crowd.c\n"), 2;
  long clients = atol(words[1]), whole = atol(words[5]);
  server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[3]))};
  if (clients < 1 || inet_pton(AF_INET, words[2], &server.sin_addr) != 1) return 2;
  in_addr_t first = ntohl(inet_addr(words[6]));
  request_length = (size_t)snprintf((char *)request, sizeof request, "%c%c%s%coctet%cblksize%c%d", 0, 1, words[4], 0, 0, 0,
                                    BLKSIZE) + 1;
  if (request_length > sizeof request) return 2;
  struct client *all = calloc((size_t)clients, sizeof *all);
  struct epoll_event *events = calloc((size_t)clients, sizeof *events);
  int poll = epoll_create1(0);
  if (all == NULL || events == NULL || poll < 0) die("epoll_create1");
  for (long i = 0; i < clients; i++) {
    all[i].fd = open_client(htonl(first + (in_addr_t)i));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event) < 0) die("epoll_ctl");
  }
  double begun = now(), looked = begun;
  for (long i = 0; i < clients; i++) say(&all[i]);
  for (long left = clients; left > 0;) {
    int ready = epoll_wait(poll, events, (int)clients, LOOK_MS);
    if (ready < 0) die("epoll_wait");
    for (int i = 0; i < ready; i++) {
      struct client *client = events[i].data.ptr;
      if (!take(client)) continue;
      if (client->bytes != whole) return fprintf(stderr, "%ld bytes of %ld\n", client->bytes, whole), 1;
      close(client->fd);
      client->fd = -1;
      left--;
    }
    double at = now();
    if (at - looked < LOOK_MS / 1e3) continue;
    looked = at;
    for (long i = 0; i < clients; i++)
      if (all[i].fd >= 0 && at - all[i].sent_at > RETRY_MS / 1e3) say(&all[i]);
  }
  printf("seconds %.6f\n", now() - begun);
  return 0;
}
