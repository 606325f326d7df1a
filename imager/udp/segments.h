/* Datagrams to one place in one call of the system. */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#include "answer.h"

/*
 * Sends the bytes of `all` as datagrams of `size` bytes each, the last of what is left: they are routed as one, and part in
 * the network adapter or just before it (UDP_SEGMENT of udp(7), Linux 4.18). Gives 0 or an errno, and then none was sent:
 * EINVAL and EIO among others where the system or the adapter cannot.
 */
int send_segments(int fd, const struct datagram *all, uint16_t size, const union place *to, socklen_t length);

#endif
