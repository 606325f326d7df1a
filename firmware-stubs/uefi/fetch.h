/* Files from an imager by TFTP. */
#ifndef BW_FETCH_H
#define BW_FETCH_H

#include <stdint.h>

#include "lease.h"

struct file {
  /* In pages of its own; NULL where there is none. */
  uint8_t *bytes;
  uint64_t length;
};

/*
 * Reads `path` from the server, in blocks of 1468 bytes (RFC 2348), of the size that it states (RFC 2349). Gives NULL, or why
 * there is no file, in words.
 */
const char *fetch(const struct lease *lease, const uint8_t server[4], const char *path, struct file *file);

/* Gives the pages back. */
void file_free(struct file *file);

#endif
