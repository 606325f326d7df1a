/* The machine under the stub: time, words to the people who watch, and starting it again. */
#ifndef BW_MACHINE_H
#define BW_MACHINE_H

#include <efi.h>
#include <stdint.h>

/* Begins to count: machine_passed() from now on says whether `milliseconds` are over. One clock at a time. */
void machine_wait_from_now(uint32_t milliseconds);

int machine_passed(void);

/* Lets the processor rest for about ten milliseconds. */
void machine_rest(void);

/* Has the firmware start the machine again where nothing was heard of the stub for five minutes. */
void machine_watch(void);

/*
 * `bootwright: firmware TEXT` on the serial line and on every other console. In `format`, %s stands for a text, %u for an
 * unsigned 32-bit number, %i for the four bytes of an IPv4 address, %x for an EFI_STATUS.
 */
void say(const char *format, ...);

/* The same into `to`, at most `size` bytes with the zero that ends it. Gives 0 where it had to be cut. */
int put_text(char *to, uint32_t size, const char *format, ...);

#endif
