/* CRC-32 (IEEE 802.3, polynomial 0xEDB88320 reflected) bit by bit: a stub has no room for a table, and few bytes to sum. */
#ifndef BW_CRC32_H
#define BW_CRC32_H

#include <stdint.h>

/* Goes on with `crc`: 0xffffffff to begin with, and the sum is the complement of what comes last. */
static inline uint32_t bw_crc32_on(uint32_t crc, const uint8_t *bytes, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
  }
  return crc;
}

static inline uint32_t bw_crc32(const uint8_t *bytes, uint32_t length) {
  return ~bw_crc32_on(0xffffffffu, bytes, length);
}

#endif
