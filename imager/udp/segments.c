#define _GNU_SOURCE
#include "segments.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

int send_segments(int fd, const struct datagram *all, uint16_t size, const union place *to, socklen_t length) {
  struct iovec part = {(void *)all->bytes, all->length};
  union {
    char bytes[CMSG_SPACE(sizeof size)];
    struct cmsghdr head;
  } control = {0};
  struct msghdr message = {.msg_name = (void *)&to->any,
                           .msg_namelen = length,
                           .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  *head = (struct cmsghdr){.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
  memcpy(CMSG_DATA(head), &size, sizeof size);
  return sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? errno : 0;
}
