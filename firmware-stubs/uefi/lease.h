/* An address by DHCP. */
#ifndef BW_LEASE_H
#define BW_LEASE_H

#include <efi.h>
#include <stdint.h>

enum { HOST_NAME = 64 };

struct lease {
  /* The adapter it was given on. */
  EFI_HANDLE adapter;
  EFI_IPv4_ADDRESS address, netmask;
  /* 0.0.0.0 where there is none. */
  EFI_IPv4_ADDRESS router;
  /* Option 12; "" where there is none. */
  char host_name[HOST_NAME];
};

/*
 * Asks on each adapter of the machine in turn, from number `first` on, until a server answers; `uuid` is sent as option 97
 * (RFC 4578 section 2.3), and none where it is all zeroes. Gives the number of the adapter after it, 0 where no server did.
 */
UINTN lease_get(const uint8_t uuid[16], UINTN first, struct lease *lease);

#endif
