/* The time in which a technician on the serial line is heard (firmware-stubs/serial). */
#ifndef BW_LISTEN_H
#define BW_LISTEN_H

#include <stdint.h>

/*
 * Listens for so long. A request keeps it listening, until there was none for half a minute or one that starts the machine again.
 */
void listen(uint32_t milliseconds);

#endif
