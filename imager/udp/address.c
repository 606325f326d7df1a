#define _GNU_SOURCE
#include "address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

socklen_t read_place(const char *text, uint32_t port, union place *place) {
  memset(place, 0, sizeof *place);
  if (inet_pton(AF_INET, text, &place->v4.sin_addr) == 1) {
    place->v4.sin_family = AF_INET;
    place->v4.sin_port = htons((uint16_t)port);
    return sizeof place->v4;
  }
  if (inet_pton(AF_INET6, text, &place->v6.sin6_addr) != 1) return 0;
  place->v6.sin6_family = AF_INET6;
  place->v6.sin6_port = htons((uint16_t)port);
  return sizeof place->v6;
}

void write_address(const union place *place, char text[ADDRESS]) {
  const void *from =
      place->any.sa_family == AF_INET6 ? (const void *)&place->v6.sin6_addr : (const void *)&place->v4.sin_addr;
  if (inet_ntop(place->any.sa_family, from, text, ADDRESS) == NULL) text[0] = '\0';
}

uint16_t port_of(const union place *place) {
  return ntohs(place->any.sa_family == AF_INET6 ? place->v6.sin6_port : place->v4.sin_port);
}

bool same_place(const union place *a, const union place *b) {
  if (a->any.sa_family != b->any.sa_family) return false;
  if (a->any.sa_family == AF_INET)
    return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
  return a->v6.sin6_port == b->v6.sin6_port && memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof a->v6.sin6_addr) == 0;
}

void interface_of(const char *address, char name[IF_NAMESIZE]) {
  name[0] = '\0';
  union place wanted;
  struct ifaddrs *all = NULL;
  if (read_place(address, 0, &wanted) != sizeof wanted.v4 || getifaddrs(&all) < 0) return;
  for (const struct ifaddrs *each = all; each != NULL; each = each->ifa_next) {
    if (each->ifa_addr == NULL || each->ifa_addr->sa_family != AF_INET || (each->ifa_flags & IFF_LOOPBACK)) continue;
    if (((const struct sockaddr_in *)each->ifa_addr)->sin_addr.s_addr != wanted.v4.sin_addr.s_addr) continue;
    /* An address with a label of its own has that for its interface: eth0:1. */
    size_t length = strcspn(each->ifa_name, ":");
    bool other = name[0] != '\0' && (strlen(name) != length || strncmp(name, each->ifa_name, length) != 0);
    if (other || length >= IF_NAMESIZE) {
      name[0] = '\0';
      break;
    }
    memcpy(name, each->ifa_name, length);
    name[length] = '\0';
  }
  freeifaddrs(all);
}
