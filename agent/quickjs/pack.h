/* A pack in memory: blocks of a disk as they were when it was attached. */
#ifndef PACK_H
#define PACK_H

#include <stddef.h>
#include <stdint.h>

#define PACK_BLOCK 4096u

struct pack {
  uint64_t disk_size;
  struct run *runs;
  uint32_t run_count, blocks, stored;
  const uint8_t *checksums, *content;
  /* One a block, by ordinal. */
  uint8_t *gone, *checked;
};

/*
 * Looks over the pack in `bytes`, which must stay, of a disk of `disk_size` bytes. NULL, or what is wrong with it in
 * words; nothing is kept then.
 */
const char *pack_open(struct pack *pack, const uint8_t *bytes, size_t length, uint64_t disk_size);

/* Fills `target` with a range of the disk; 0 where not all of it is in the pack, undamaged and not forgotten. */
int pack_read(struct pack *pack, uint8_t *target, uint64_t offset, uint32_t length);

/* Forgets every block of which a byte is in the range. */
void pack_forget(struct pack *pack, uint64_t offset, uint64_t length);

void pack_free(struct pack *pack);

#endif
