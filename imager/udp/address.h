/* Socket addresses, and the interfaces that have them. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for an address as text. */
enum { ADDRESS = 64 };

union place {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/* Length of the address in `text`, 0 where it is none. */
socklen_t read_place(const char *text, uint32_t port, union place *place);

/* Writes the address, without the port, to `text`. */
void write_address(const union place *place, char text[ADDRESS]);

uint16_t port_of(const union place *place);

bool same_place(const union place *a, const union place *b);

/*
 * The name of the interface that has this IPv4 address, with or without carrier; empty where none or several have it, and
 * where it is the loopback interface's.
 */
void interface_of(const char *address, char name[IF_NAMESIZE]);

#endif
