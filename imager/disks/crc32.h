#pragma once
#include <stddef.h>
#include <stdint.h>

/* Whether this processor has what crc32_folded needs. */
int crc32_available(void);

enum { CRC32_WIDEST = 512 };

/*
 * CRC-32 (IEEE 802.3, as in zlib) of `length` bytes: a multiple of 256, and not 0. `width`: as on a processor that multiplies
 * so many bits at once, 128, 256 or 512; where this one cannot, as many as it can.
 */
uint32_t crc32_folded(const uint8_t *bytes, size_t length, unsigned width);
