#include "clock.h"

#include "ports.h"

enum { COUNTER = 0x40, CONTROL = 0x43 };

static uint16_t last;

static uint16_t counter(void) {
  out8(CONTROL, 0);
  uint16_t low = in8(COUNTER);
  return (uint16_t)(low | in8(COUNTER) << 8);
}

void clock_start(void) {
  /* Mode 2, the full 65,536 steps: the BIOS's clock goes on at its pace. Mode 3, which many leave, counts by twos. */
  out8(CONTROL, 0x34);
  out8(COUNTER, 0);
  out8(COUNTER, 0);
  last = counter();
}

uint32_t clock_ticks(void) {
  uint16_t now = counter(), ticks = (uint16_t)(last - now);
  last = now;
  return ticks;
}
