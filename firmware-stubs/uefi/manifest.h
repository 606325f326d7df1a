/* What the imager says of an image: manifest.env, lines KEY=VALUE (imager/images/generated.ts). */
#ifndef BW_MANIFEST_H
#define BW_MANIFEST_H

#include <stdint.h>

enum { MANIFEST_FILE = 64, MANIFEST_ARGS = 1025 };

/* Texts end with a zero. */
struct manifest {
  char kernel[MANIFEST_FILE], initrd[MANIFEST_FILE], args[MANIFEST_ARGS];
};

/*
 * Takes bw_kernel, bw_initrd and bw_args of `length` bytes of text and nothing else. Gives 0 where one of the files is missing,
 * is not a plain file name, or a value is too long or no printable text. Pure.
 */
int manifest_read(const char *text, uint32_t length, struct manifest *manifest);

#endif
