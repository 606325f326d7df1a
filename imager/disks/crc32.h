#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether this processor has what crc32_folded needs. */
int crc32_available(void);

/*
 * CRC-32 (IEEE 802.3, as in zlib) of `length` bytes: a multiple of 256, and not 0. `narrowly`: as on a processor without
 * the wide instructions.
 */
uint32_t crc32_folded(const uint8_t *bytes, size_t length, bool narrowly);
