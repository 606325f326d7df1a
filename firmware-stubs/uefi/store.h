/* The boot pointers: two UEFI variables of our own GUID (agent/protocol/pointer/efi-variables.ts), each with one slot. */
#ifndef BW_STORE_H
#define BW_STORE_H

#include <stdint.h>

#include "../pointer/slot.h"

enum { STORE_SIZE = 2 * BW_LARGEST_SLOT };

/*
 * The data of both variables one behind the other, each filled up with zeroes to BW_LARGEST_SLOT: layout `efivars` as the serial
 * protocol has it. Gives 0 where the firmware did not give them; a variable that is not there is all zeroes.
 */
int store_read(uint8_t store[STORE_SIZE]);

/* Makes `bytes` the data of variable 0 or 1, and reads it back. Gives 0 where it holds something else then. */
int store_write(int slot, const uint8_t *bytes, uint32_t length);

/* Milliseconds to listen on the serial line: variable `BootListen` of the same GUID, 16 bits; 1000 where there is none. */
uint32_t store_listening(void);

#endif
