/* The first serial line, by the ports of its 16550: the BIOS has no calls that lose nothing at 115,200 baud. */
#ifndef BW_LINE_H
#define BW_LINE_H

#include <stdint.h>

/* 115,200 baud, eight data bits, no parity, one stop bit, FIFOs on. */
void line_open(void);

/* The next byte that has come; -1 where none has. */
int line_take(void);

void line_send(const uint8_t *bytes, uint32_t length);

/* Sends a text. */
void line_say(const char *text);

/* Returns once the last byte has left. */
void line_drain(void);

#endif
