/* Lines on the console, for those who have no engine too. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stddef.h>

/* Writes one whole line to the console, which is opened again where it was hung up. */
void bw_print(const char *text, size_t length);

#endif
