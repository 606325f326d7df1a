#include "listen.h"

#include <efi.h>
#include <efilib.h>

#include "../serial/node_end.h"
#include "line.h"
#include "machine.h"
#include "store.h"

/* Nobody is there where no request came for so long: the longest pause of the technician's end is shorter. */
enum { SILENCE_MS = 10000, HEARD_MS = 1000 };

static int read_store(void *context, uint32_t offset, uint8_t *bytes, uint32_t length) {
  uint8_t *store = context;
  if (!store_read(store)) return -1;
  CopyMem(bytes, store + offset, length);
  return 0;
}

/* A variable is written as a whole: what is not one slot from its beginning is refused. */
static int write_store(void *context, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  (void)context;
  if (offset % BW_LARGEST_SLOT != 0 || length > BW_LARGEST_SLOT) return -1;
  return store_write((int)(offset / BW_LARGEST_SLOT), bytes, length) ? 0 : -1;
}

static void send(void *context, const uint8_t *bytes, uint32_t length) {
  (void)context;
  line_write(bytes, length);
}

static struct bw_node_end *node_end(const char *uid) {
  static uint8_t memory[STORE_SIZE], store[STORE_SIZE];
  static struct bw_node_end end;
  end.uid = uid;
  end.layout = "efivars";
  end.firmware = "bootwright UEFI stub";
  end.size = STORE_SIZE;
  end.memory = memory;
  end.read = read_store;
  end.write = write_store;
  end.send = send;
  end.context = store;
  return &end;
}

/*
 * Without rest: a UART holds 16 bytes, which are there after 1.4 ms at 115,200 baud, and the firmware's timer wakes the
 * processor every 10 ms. The session goes on from one call to the next.
 */
static int take_until_silence(struct bw_node_end *end, uint32_t milliseconds) {
  uint8_t byte;
  for (machine_wait_from_now(milliseconds); !machine_passed();) {
    if (!line_take(&byte)) continue;
    switch (bw_node_end_take(end, byte)) {
      case BW_NOTHING:
        break;
      case BW_ANSWERED:
        machine_watch();
        machine_wait_from_now(SILENCE_MS);
        break;
      case BW_RESET:
        return 1;
    }
  }
  return 0;
}

int listen(const char *uid, uint32_t milliseconds) {
  struct bw_node_end *end = node_end(uid);
  bw_node_end_start(end);
  return take_until_silence(end, milliseconds);
}

int wait_listening(const char *uid, uint32_t milliseconds) {
  struct bw_node_end *end = node_end(uid);
  uint8_t byte;
  bw_node_end_start(end);
  for (machine_wait_from_now(milliseconds); !machine_passed(); machine_rest())
    /* The first request has overrun a real UART by now. It comes again. */
    if (line_take(&byte)) {
      bw_node_end_take(end, byte);
      return take_until_silence(end, HEARD_MS);
    }
  return 0;
}
