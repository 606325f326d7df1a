/* firmware-stubs/pointer on standard input: the size of a slot (2 bytes, little-endian) and both slots, again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../firmware-stubs/pointer/decide.h"

static void print_bytes(const char *key, const uint8_t *bytes, uint32_t length) {
  printf("\"%s\":\"", key);
  for (uint32_t i = 0; i < length; i++) printf("%02x", bytes[i]);
  printf("\"");
}

/* The kind, the sequence number where there is one, and the record written again. */
static void print_slot(const uint8_t *bytes, uint32_t size) {
  static const char *const KINDS[] = {"empty", "torn", "invalid", "valid"};
  struct bw_record record;
  uint8_t *again = malloc(size == 0 ? 1 : size);
  enum bw_slot kind = bw_slot_read(bytes, size, &record);
  printf("{\"kind\":\"%s\"", KINDS[kind]);
  if (kind == BW_INVALID || kind == BW_VALID) printf(",\"sequence\":%u", record.sequence);
  if (kind == BW_VALID) {
    uint32_t length = bw_slot_write(&record, again, size);
    /* One byte too little, and nothing may be written. */
    if (bw_slot_write(&record, again, length - 1) != 0) abort();
    printf(",");
    print_bytes("again", again, length);
  }
  printf("}");
  free(again);
}

static void print_decision(const uint8_t *slot0, const uint8_t *slot1, uint32_t size) {
  struct bw_decision decision;
  memset(&decision, 0xa5, sizeof decision);
  bw_decide(slot0, slot1, size, &decision);
  if (decision.error != NULL) {
    printf("{\"error\":\"%s\"}", decision.error);
    return;
  }
  printf("{\"slot\":%d,\"image\":\"%s\",\"attempts\":%d,", decision.slot, decision.image, decision.record.attempts);
  printf("\"sequence\":%u,\"fallback\":%s,", decision.record.sequence, decision.fallback ? "true" : "false");
  print_bytes("count", decision.count, decision.count_length);
  printf("}");
}

int main(void) {
  for (int low; (low = getchar()) != EOF;) {
    uint32_t size = (uint32_t)low | (uint32_t)getchar() << 8;
    /* Of their own, so that a byte read beyond the end is found out. */
    uint8_t *slot[2] = {malloc(size == 0 ? 1 : size), malloc(size == 0 ? 1 : size)};
    for (int i = 0; i < 2; i++)
      if (fread(slot[i], 1, size, stdin) != size) return 2;
    printf("{\"slots\":[");
    print_slot(slot[0], size);
    printf(",");
    print_slot(slot[1], size);
    printf("],\"decision\":");
    print_decision(slot[0], slot[1], size);
    printf("}\n");
    free(slot[0]);
    free(slot[1]);
  }
  return 0;
}
