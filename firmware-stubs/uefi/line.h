/* The serial line, taken away from the firmware's console for as long as the stub runs. */
#ifndef BW_LINE_H
#define BW_LINE_H

#include <efi.h>
#include <stdint.h>

/*
 * Takes the first serial line of the machine (EFI_SERIAL_IO_PROTOCOL, UEFI 2.10 section 12.8), with the speed the firmware has
 * given it. Exclusively: the console's driver would read bytes away. Without a line the rest does nothing.
 */
void line_open(EFI_HANDLE image);

/* All of `bytes`, as long as the line takes any. */
void line_write(const uint8_t *bytes, uint32_t length);

/* Gives 1 and the next byte that has come, else 0 at once. */
int line_take(uint8_t *byte);

#endif
