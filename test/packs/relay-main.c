/* The relay between descriptors 3 (the kernel's side) and 4 (the imager's), with the pack from standard input: SIZE PATIENCE. */
#include <stdio.h>
#include <stdlib.h>

#include "console.h"
#include "pack.h"
#include "relay.h"

void bw_print(const char *text, size_t length) { printf("%.*s\n", (int)length, text); }

int main(int argc, char **argv) {
  static uint8_t bytes[16 << 20];
  struct pack pack;
  if (argc != 3) return 2;
  size_t length = fread(bytes, 1, sizeof bytes, stdin);
  const char *why = pack_open(&pack, bytes, length, strtoull(argv[1], NULL, 10));
  if (why) return puts(why), 3;
  int code = relay_run(3, 4, strtod(argv[2], NULL), "root", &pack);
  fflush(stdout);
  return code;
}
