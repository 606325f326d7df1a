#include "decide.h"

#include <stddef.h>

/* agent/protocol/pointer/sequence.ts: serial number arithmetic (RFC 1982); what decides nothing leaves slot 0. */
static int is_newer(uint32_t b, uint32_t a) {
  uint32_t ahead = b - a;
  return ahead != 0 && ahead < 0x80000000u;
}

static int has_sequence(enum bw_slot slot) {
  return slot == BW_VALID || slot == BW_INVALID;
}

void bw_decide(const uint8_t *slot0, const uint8_t *slot1, uint32_t size, struct bw_decision *decision) {
  struct bw_record *record = &decision->record;
  decision->error = NULL;
  decision->fallback = 0;
  decision->count_length = 0;
  /* One record after the other in the same place: they are large, and stacks in firmware small. */
  enum bw_slot second = bw_slot_read(slot1, size, record);
  uint32_t sequence = record->sequence;
  enum bw_slot first = bw_slot_read(slot0, size, record);
  enum bw_slot found = first;
  decision->slot = 0;
  if (has_sequence(second) && (!has_sequence(first) || is_newer(sequence, record->sequence))) {
    decision->slot = 1;
    found = bw_slot_read(slot1, size, record);
  }
  if (!has_sequence(found)) {
    decision->error = "no boot pointer in the EEPROM";
    return;
  }
  if (found != BW_VALID) {
    static const char *const UNUSABLE[] = {
      "the boot pointer in slot 0 is not usable",
      "the boot pointer in slot 1 is not usable",
    };
    decision->error = UNUSABLE[decision->slot];
    return;
  }
  decision->image = record->image;
  if (record->phase == BW_READY) return;
  if (record->attempts == 0) {
    decision->fallback = record->fallback[0] != 0;
    if (decision->fallback) decision->image = record->fallback;
    return;
  }
  /* For the moment it is the counted one. */
  record->sequence++;
  record->attempts--;
  decision->count_length = bw_slot_write(record, decision->count, size);
  record->sequence--;
  record->attempts++;
}
