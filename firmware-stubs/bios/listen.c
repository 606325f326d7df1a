#include "listen.h"

#include "../pointer/slot.h"
#include "../serial/node_end.h"
#include "bios.h"
#include "clock.h"
#include "eeprom.h"
#include "line.h"
#include "smbios.h"

/* The slots are all that a technician's tool sees: what is behind them, a local store with its keys, stays here. */
enum { SHOWN_SIZE = 2 * BW_LARGEST_SLOT, QUIET_MILLISECONDS = 30000 };

static int read_store(void *context, uint32_t offset, uint8_t *bytes, uint32_t length) {
  (void)context;
  const uint8_t *stored = eeprom_bytes();
  if (stored == 0) return -1;
  for (uint32_t i = 0; i < length; i++) bytes[i] = stored[offset + i];
  return 0;
}

static int write_store(void *context, uint32_t offset, const uint8_t *bytes, uint32_t length) {
  (void)context;
  return eeprom_write(offset, bytes, length);
}

static void send(void *context, const uint8_t *bytes, uint32_t length) {
  (void)context;
  line_send(bytes, length);
}

void listen(uint32_t milliseconds) {
  static uint8_t memory[SHOWN_SIZE];
  static struct bw_node_end end;
  end.uid = hardware_uid();
  end.layout = "eeprom";
  end.firmware = "bootwright BIOS stub";
  end.size = SHOWN_SIZE;
  end.memory = memory;
  end.read = read_store;
  end.write = write_store;
  end.send = send;
  bw_node_end_start(&end);
  uint32_t left = milliseconds * TICKS_A_MILLISECOND;
  clock_start();
  while (left > 0) {
    uint32_t passed = clock_ticks();
    left -= passed < left ? passed : left;
    int byte = line_take();
    if (byte < 0) continue;
    /* One request sees the EEPROM as it is at its end: read once, however often the protocol asks. */
    if (byte == 0) eeprom_forget();
    enum bw_event event = bw_node_end_take(&end, (uint8_t)byte);
    if (event == BW_NOTHING) continue;
    if (event == BW_RESET) {
      line_drain();
      reset();
    }
    left = QUIET_MILLISECONDS * TICKS_A_MILLISECOND;
  }
  eeprom_forget();
}
