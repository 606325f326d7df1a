/* Starts iPXE (ipxe.lkrn), which the boot disk carries, as the kernel it looks like. */
#ifndef BW_IPXE_H
#define BW_IPXE_H

#include <stdint.h>

/* Where iPXE lies on the boot disk. */
struct ipxe_place {
  uint8_t drive;
  uint32_t sector, bytes;
};

/* Does not return, but where it could not: then it says why. The script is iPXE's initrd. */
const char *start_ipxe(const struct ipxe_place *place, const char *script, uint32_t length);

#endif
