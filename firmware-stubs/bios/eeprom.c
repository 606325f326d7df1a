#include "eeprom.h"

#include <stddef.h>

#include "bios.h"

enum { SECTORS = EEPROM_SIZE / SECTOR, FIRST_DRIVE = 0x80 };

static uint8_t drive;
static int known;
static uint8_t stored[EEPROM_SIZE] __attribute__((aligned(16)));

int eeprom_find(uint8_t boot_drive) {
  /* The BIOS data area has the number of disks. */
  uint32_t end = FIRST_DRIVE + *(volatile uint8_t *)0x475;
  known = 0;
  for (uint32_t each = FIRST_DRIVE; each < end && each <= 0xff; each++)
    if (each != boot_drive && disk_sectors((uint8_t)each) == SECTORS) {
      drive = (uint8_t)each;
      return 0;
    }
  drive = 0;
  return -1;
}

const uint8_t *eeprom_bytes(void) {
  if (!known) known = drive != 0 && disk_read(drive, 0, stored, SECTORS) == 0;
  return known ? stored : NULL;
}

void eeprom_forget(void) {
  known = 0;
}

int eeprom_write(uint32_t offset, const uint8_t *bytes, uint32_t length) {
  /* The sectors it touches are written whole: those beside it hold what they held. */
  eeprom_forget();
  if (eeprom_bytes() == NULL) return -1;
  for (uint32_t i = 0; i < length; i++) stored[offset + i] = bytes[i];
  uint32_t first = offset / SECTOR, end = (offset + length + SECTOR - 1) / SECTOR;
  eeprom_forget();
  if (disk_write(drive, first, stored + first * SECTOR, end - first) != 0) return -1;
  if (eeprom_bytes() == NULL) return -1;
  for (uint32_t i = 0; i < length; i++)
    if (stored[offset + i] != bytes[i]) return -1;
  return 0;
}
