#include "ipxe.h"

#include "bios.h"

/* Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header": offsets in the file. */
enum {
  SETUP_SECTS = 0x1f1,
  MAGIC = 0x202,
  VERSION = 0x206,
  TYPE_OF_LOADER = 0x210,
  LOADFLAGS = 0x211,
  RAMDISK_IMAGE = 0x218,
  RAMDISK_SIZE = 0x21c,
  HEAP_END = 0x224
};
enum { LOADED_HIGH = 0x01, CAN_USE_HEAP = 0x80, ANY_LOADER = 0xff };

/*
 * In memory: the real-mode code, a buffer for the BIOS, the rest of the file, and the initrd: at 128 MiB, for iPXE unpacks itself
 * below 64 MiB and then moves to just below its initrd.
 */
enum { SETUP_SEGMENT = 0x1000, SETUP = 0x10000, PIECE = 0x20000, HIGH = 0x100000, INITRD = 0x8000000 };
/* The whole real-mode part must stay below its own stack, and the rest below the initrd. */
enum { PIECE_SECTORS = 64, MOST_SETUP = 0x8000, MOST_BYTES = 0x1000000 };

static uint32_t get32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> 8 * i);
}

static void copy(uint8_t *to, const uint8_t *from, uint32_t length) {
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
}

/* `length` bytes of the file from `offset` on, which begins a sector. Gives 0 where they were read. */
static int load(const struct ipxe_place *place, uint32_t offset, uint8_t *to, uint32_t length) {
  uint8_t *piece = (uint8_t *)PIECE;
  uint32_t sector = place->sector + offset / SECTOR;
  while (length > 0) {
    uint32_t sectors = (length + SECTOR - 1) / SECTOR;
    if (sectors > PIECE_SECTORS) sectors = PIECE_SECTORS;
    uint32_t bytes = sectors * SECTOR < length ? sectors * SECTOR : length;
    if (disk_read(place->drive, sector, piece, sectors) != 0) return -1;
    copy(to, piece, bytes);
    to += bytes;
    sector += sectors;
    length -= bytes;
  }
  return 0;
}

const char *start_ipxe(const struct ipxe_place *place, const char *script, uint32_t length) {
  uint8_t *setup = (uint8_t *)SETUP;
  if (open_a20() != 0) return "no memory above 1 MiB";
  if (place->bytes < 2 * SECTOR || place->bytes > MOST_BYTES) return "no iPXE on the boot disk";
  if (load(place, 0, setup, 2 * SECTOR) != 0) return "cannot read the boot disk";
  uint32_t setup_bytes = (setup[SETUP_SECTS] + 1u) * SECTOR;
  int is_kernel = get32(setup + MAGIC) == 0x53726448 && setup[VERSION + 1] >= 2 && (setup[LOADFLAGS] & LOADED_HIGH);
  if (!is_kernel || setup_bytes > MOST_SETUP || setup_bytes > place->bytes) return "no iPXE on the boot disk";
  if (load(place, 0, setup, setup_bytes) != 0) return "cannot read the boot disk";
  if (load(place, setup_bytes, (uint8_t *)HIGH, place->bytes - setup_bytes) != 0) return "cannot read the boot disk";
  copy((uint8_t *)INITRD, (const uint8_t *)script, length);
  setup[TYPE_OF_LOADER] = ANY_LOADER;
  setup[LOADFLAGS] |= CAN_USE_HEAP;
  setup[HEAP_END] = 0x00;
  setup[HEAP_END + 1] = 0xde;
  put32(setup + RAMDISK_IMAGE, INITRD);
  put32(setup + RAMDISK_SIZE, length);
  bios_linux(SETUP_SEGMENT);
  return "cannot start iPXE";
}
