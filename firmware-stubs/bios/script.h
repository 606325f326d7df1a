/* What iPXE is to do for a decision: its script. */
#ifndef BW_SCRIPT_H
#define BW_SCRIPT_H

#include <stdint.h>

#include "../pointer/decide.h"

enum { LONGEST_SCRIPT = 4096 };

/*
 * Writes the script and gives its length. `drive` is the disk that the stub came from, which iPXE starts again to have
 * the attempt counted.
 */
uint32_t write_script(const struct bw_decision *decision, uint8_t drive, char *script);

#endif
