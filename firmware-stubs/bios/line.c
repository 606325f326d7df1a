#include "line.h"

#include "ports.h"

enum { DATA = 0, INTERRUPTS = 1, DIVISOR_HIGH = 1, FIFO = 2, FORMAT = 3, MODEM = 4, STATUS = 5 };
/* A byte takes 87 us, a look at the port about one: some hundred times what the longest queue needs. */
enum { MOST_TRIES = 200000 };
enum { RECEIVED = 0x01, ROOM = 0x20, ALL_LEFT = 0x40 };

/* Where the BIOS found none it is COM1's place. */
static uint16_t base;

void line_open(void) {
  base = *(volatile uint16_t *)0x400;
  if (base == 0) base = 0x3f8;
  out8(base + INTERRUPTS, 0);
  out8(base + FORMAT, 0x80);
  out8(base + DATA, 1);
  out8(base + DIVISOR_HIGH, 0);
  out8(base + FORMAT, 0x03);
  /* On, without emptying them: what a technician has sent already counts. */
  out8(base + FIFO, 0x01);
  out8(base + MODEM, 0x03);
}

int line_take(void) {
  return in8(base + STATUS) & RECEIVED ? in8(base + DATA) : -1;
}

/*
 * Status bits, all ones where there is no UART: a machine without one goes on, and says nothing. So does one whose UART is stuck:
 * that is waited for once, and not again before it has shown the bit.
 */
static void await(uint8_t bit) {
  static uint32_t most = MOST_TRIES;
  for (uint32_t tries = 0; tries < most; tries++) {
    if (in8(base + STATUS) & bit) {
      most = MOST_TRIES;
      return;
    }
    __asm__ volatile("pause");
  }
  most = 1;
}

void line_send(const uint8_t *bytes, uint32_t length) {
  while (length-- > 0) {
    await(ROOM);
    out8(base + DATA, *bytes++);
  }
}

void line_say(const char *text) {
  uint32_t length = 0;
  while (text[length] != 0) length++;
  line_send((const uint8_t *)text, length);
}

void line_drain(void) {
  await(ALL_LEFT);
}
