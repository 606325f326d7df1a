/* The time, by counter 0 of the 8254: with interrupts off the BIOS's clock stands. */
#ifndef BW_CLOCK_H
#define BW_CLOCK_H

#include <stdint.h>

enum { TICKS_A_MILLISECOND = 1193 };

void clock_start(void);

/* Ticks since it was called last, or since the start; whole rounds of 65,536 (55 ms) are missed, so that time only gets longer. */
uint32_t clock_ticks(void);

#endif
