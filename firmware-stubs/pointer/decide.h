/*
 * What firmware does with the boot pointers it finds: firmware-stubs/simulated/decide.ts for the two binary slots, in
 * freestanding C99. A test compares the two.
 */
#ifndef BW_DECIDE_H
#define BW_DECIDE_H

#include "slot.h"

struct bw_decision {
  /* Why nothing can be booted; NULL where something can, and only then the rest is set. */
  const char *error;
  /* The slot that is obeyed, 0 or 1, and what its record says. */
  int slot;
  struct bw_record record;
  /* What is booted: the record's image, or its fallback. In `record`. */
  const char *image;
  /* No attempts are left: the last good image is booted. */
  int fallback;
  /* Bytes to write at the beginning of the *other* slot once an imager has given the image's manifest. 0: none. */
  uint32_t count_length;
  uint8_t count[BW_LARGEST_SLOT];
};

/* Slot 0 and slot 1, of `size` bytes each, at most BW_LARGEST_SLOT. */
void bw_decide(const uint8_t *slot0, const uint8_t *slot1, uint32_t size, struct bw_decision *decision);

#endif
