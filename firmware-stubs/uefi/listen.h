/* A technician at the serial line: the node's end of the serial protocol over the variables. */
#ifndef BW_LISTEN_H
#define BW_LISTEN_H

#include <stdint.h>

/*
 * Listens for `milliseconds`, and on for as long as requests come. Gives 1 where the technician has the node start again, 0 where
 * nobody is there any more.
 */
int listen(const char *uid, uint32_t milliseconds);

/* Waits for `milliseconds` with the processor at rest; where a byte comes, listens. Gives the same. */
int wait_listening(const char *uid, uint32_t milliseconds);

#endif
