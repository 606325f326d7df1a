/* What the BIOS does for the stub: disks (INT 13h, Enhanced Disk Drive Specification) and the way to a kernel. */
#ifndef BW_BIOS_H
#define BW_BIOS_H

#include <stdint.h>

enum { SECTOR = 512 };

/* In the order of entry.S. */
struct registers {
  uint32_t edi, esi, ebp, unused, ebx, edx, ecx, eax;
  uint16_t es, ds;
  uint32_t flags;
};

/* entry.S: the BIOS interrupt, in real mode, with these registers; they hold what it gave back. */
void bios_call(uint8_t vector, struct registers *registers);

/* entry.S: starts the real-mode code of a kernel that is loaded at this segment. Does not return. */
void bios_linux(uint16_t segment);

/* Sectors of 512 bytes of a hard disk (0x80 ...); 0 where there is none, or one without extended calls. */
uint32_t disk_sectors(uint8_t drive);

/* Both give 0 where they did it. `bytes` must lie in the first MiB and not cross a boundary of 64 KiB; at most 64 sectors. */
int disk_read(uint8_t drive, uint32_t sector, uint8_t *bytes, uint32_t sectors);
int disk_write(uint8_t drive, uint32_t sector, const uint8_t *bytes, uint32_t sectors);

/* Lets addresses above 1 MiB through. Gives 0 where they are. */
int open_a20(void);

/* Starts the machine again, as after power-on. */
void reset(void);

#endif
