/*
 * Binary slots of boot pointers (agent/protocol/pointer/binary-slot.ts has the bytes) for firmware: freestanding C99, no heap.
 * Reads and writes what the TypeScript does, damage included; a test compares the two.
 */
#ifndef BW_SLOT_H
#define BW_SLOT_H

#include <stdint.h>

/* Holds the longest record there is. */
#define BW_LARGEST_SLOT 1024

enum { BW_NAME = 64, BW_DEPLOYMENT = 33, BW_IMAGERS = 4, BW_DISKS = 8 };

enum bw_phase { BW_DEPLOY, BW_READY };

/* Texts end with a zero. */
struct bw_record {
  uint32_t sequence;
  uint8_t attempts;
  uint8_t phase;
  char image[BW_NAME], cluster[BW_NAME], deployment[BW_DEPLOYMENT];
  /* "" where there is none. */
  char fallback[BW_NAME];
  /* IPv4 addresses in network order, by preference. */
  uint8_t imagers, imager[BW_IMAGERS][4];
  uint8_t disks;
  char disk[BW_DISKS][BW_NAME];
};

enum bw_slot {
  /* Never held a record. */
  BW_EMPTY,
  /* Its checksum is wrong. */
  BW_TORN,
  /* A right checksum around what is no boot pointer; of `record` the sequence number alone is set. */
  BW_INVALID,
  BW_VALID
};

/* What the `size` bytes of one slot hold. Reads nothing beyond them, whatever they say. */
enum bw_slot bw_slot_read(const uint8_t *bytes, uint32_t size, struct bw_record *record);

/*
 * Puts a record that was read into `bytes` and gives its length; 0, and nothing is written, where it takes more than
 * `size` bytes.
 */
uint32_t bw_slot_write(const struct bw_record *record, uint8_t *bytes, uint32_t size);

#endif
