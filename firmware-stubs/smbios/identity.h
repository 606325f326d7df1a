/* The hardware UID of a node from its SMBIOS tables, for firmware: freestanding C99. */
#ifndef BW_IDENTITY_H
#define BW_IDENTITY_H

#include <stdint.h>

/* Longest text form: `serial:` and 63 characters. */
enum { BW_UID = 72, BW_UUID = 16 };

struct bw_identity {
  /* As agent/protocol/uid.ts writes it; "" where the tables have none. */
  char uid[BW_UID];
  /* As DHCP option 97 has it, the first three fields little-endian; all zeroes where there is none. */
  uint8_t uuid[BW_UUID];
};

/*
 * Reads type 1 (System Information) of `length` bytes of SMBIOS structures (DSP0134 3.6, sections 6.1 and 7.2): the UUID, or
 * where the machine has none its serial number, as the agent does. `version`: of the entry point, major number << 8 | minor
 * number. Reads nothing beyond them. Of UUIDs that many boards share only all zeroes and all ones are known here; the imager
 * drops the others (agent/protocol/bogus-uids.ts) wherever it is told one. Pure.
 */
void bw_identity_read(const uint8_t *structures, uint32_t length, uint32_t version, struct bw_identity *identity);

#endif
