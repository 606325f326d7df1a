#include "bios.h"

#include "ports.h"

enum { DISK = 0x13, SYSTEM = 0x15, CARRY = 1 };

static uint16_t segment_of(const void *at) {
  return (uint16_t)((uintptr_t)at >> 4);
}

static uint16_t offset_of(const void *at) {
  return (uint16_t)((uintptr_t)at & 15);
}

/* Function AH of INT 13h with DS:SI pointing to `packet`. */
static int disk_call(uint32_t function, uint8_t drive, const void *packet) {
  struct registers registers = {0};
  registers.eax = function;
  registers.edx = drive;
  registers.ds = segment_of(packet);
  registers.esi = offset_of(packet);
  bios_call(DISK, &registers);
  return registers.flags & CARRY ? -1 : 0;
}

uint32_t disk_sectors(uint8_t drive) {
  /* Result buffer of function 48h. */
  struct {
    uint16_t size, flags;
    uint32_t cylinders, heads, sectors_a_track, sectors, sectors_high;
    uint16_t sector_bytes;
  } __attribute__((packed)) found = {.size = 26};
  if (disk_call(0x4800, drive, &found) != 0 || found.sector_bytes != SECTOR) return 0;
  return found.sectors_high == 0 ? found.sectors : 0xffffffffu;
}

static int disk_transfer(uint32_t function, uint8_t drive, uint32_t sector, const uint8_t *bytes, uint32_t sectors) {
  /* Disk address packet. */
  struct {
    uint16_t size, sectors, offset, segment;
    uint32_t sector, sector_high;
  } __attribute__((packed)) packet = {16, (uint16_t)sectors, offset_of(bytes), segment_of(bytes), sector, 0};
  return disk_call(function, drive, &packet);
}

int disk_read(uint8_t drive, uint32_t sector, uint8_t *bytes, uint32_t sectors) {
  return disk_transfer(0x4200, drive, sector, bytes, sectors);
}

int disk_write(uint8_t drive, uint32_t sector, const uint8_t *bytes, uint32_t sectors) {
  return disk_transfer(0x4300, drive, sector, bytes, sectors);
}

/* Is 1 MiB higher other memory? */
static int a20_is_open(void) {
  volatile uint32_t *low = (volatile uint32_t *)0x7000, *high = (volatile uint32_t *)0x107000;
  uint32_t before = *low;
  *high = ~before;
  int open = *low == before;
  *low = before;
  return open;
}

int open_a20(void) {
  if (a20_is_open()) return 0;
  struct registers registers = {0};
  registers.eax = 0x2401;
  bios_call(SYSTEM, &registers);
  if (a20_is_open()) return 0;
  /* "Fast gate A20"; bit 0 would reset the machine. */
  out8(0x92, (uint8_t)((in8(0x92) | 2) & ~1));
  return a20_is_open() ? 0 : -1;
}

void reset(void) {
  /* The chipset's reset register, the keyboard controller's line, and last a fault that nothing handles. */
  out8(0xcf9, 0x02);
  out8(0xcf9, 0x06);
  out8(0x64, 0xfe);
  static const struct {
    uint16_t limit;
    uint32_t base;
  } __attribute__((packed)) none = {0, 0};
  __asm__ volatile("lidt %0; int3" : : "m"(none));
  for (;;) __asm__ volatile("hlt");
}
