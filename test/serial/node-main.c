/* firmware-stubs/serial on standard input and output; its store is the file named first. Console text comes with each answer. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../firmware-stubs/serial/node_end.h"

enum { SIZE = 8192 };

static int read_store(void *context, uint32_t offset, uint8_t *bytes, uint32_t length) {
  return pread(*(int *)context, bytes, length, offset) == (ssize_t)length ? 0 : -1;
}

static int write_store(void *context, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  return pwrite(*(int *)context, bytes, length, offset) == (ssize_t)length ? 0 : -1;
}

static void send(void *context, const uint8_t *bytes, uint32_t length) {
  (void)context;
  if (write(1, bytes, length) != (ssize_t)length) _exit(1);
}

int main(int argc, char **argv) {
  static uint8_t memory[SIZE];
  int store = argc > 1 ? open(argv[1], O_RDWR) : -1;
  if (store < 0) return 2;
  static struct bw_node_end end;
  end.uid = "serial:c-stub";
  end.layout = "uboot-env";
  end.firmware = "stub in C";
  end.size = SIZE;
  end.memory = memory;
  end.locked = argc > 2 && strcmp(argv[2], "locked") == 0;
  end.read = read_store;
  end.write = write_store;
  end.send = send;
  end.context = &store;
  bw_node_end_start(&end);
  uint8_t bytes[256];
  for (ssize_t got; (got = read(0, bytes, sizeof bytes)) > 0;)
    for (ssize_t i = 0; i < got; i++) {
      enum bw_event event = bw_node_end_take(&end, bytes[i]);
      if (event != BW_NOTHING) send(NULL, (const uint8_t *)"[ 0.1] chatter\r\n", 16);
      if (event == BW_RESET) bw_node_end_start(&end);
    }
  return 0;
}
