/* The node's hardware UID from its SMBIOS tables. */
#ifndef BW_IDENTITY_H
#define BW_IDENTITY_H

#include <stdint.h>

/* Longest text form: `serial:` and 63 characters. */
enum { UID_TEXT = 72, UUID_BYTES = 16 };

struct identity {
  /* As agent/protocol/uid.ts writes it; "" where the tables have none. */
  char uid[UID_TEXT];
  /* As it is in the table, and in DHCP option 97; all zeroes where there is none. */
  uint8_t uuid[UUID_BYTES];
};

/*
 * Reads type 1 (System Information) of `length` bytes of SMBIOS structures (DSP0134 3.6, sections 6.1 and 7.2): the UUID, or
 * where the machine has none its serial number, as the agent does. Reads nothing beyond them. Pure.
 */
void identity_read(const uint8_t *structures, uint32_t length, struct identity *identity);

#endif
