/* Packs as imager/packs/pack.ts describes them: looked over once, read and forgotten block by block. */
#include "pack.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define PACK_HEADER 68u
#define ZERO_RUN 0x80000000u

#define MOST_BLOCKS 16384u

struct run {
  uint32_t block, count;
  /* Its first block's number among all blocks of the pack, and among those with content. */
  uint32_t ordinal, content;
  int zero;
};

/* CRC-32 (IEEE 802.3) of eight bytes a step: table[k] has what a byte comes to with k bytes behind it. */
static uint32_t crc_table[8][256];

static void make_crc_table(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t value = n;
    for (int bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320u ^ (value >> 1) : value >> 1;
    crc_table[0][n] = value;
  }
  for (uint32_t n = 0; n < 256; n++)
    for (int k = 1; k < 8; k++) crc_table[k][n] = crc_table[0][crc_table[k - 1][n] & 0xff] ^ (crc_table[k - 1][n] >> 8);
}

static uint32_t le32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return le32toh(value);
}

static uint32_t crc32_of(const uint8_t *bytes, size_t length) {
  uint32_t c = ~0u;
  if (!crc_table[0][1]) make_crc_table();
  for (; length >= 8; bytes += 8, length -= 8) {
    uint32_t low = c ^ le32(bytes), high = le32(bytes + 4);
    c = crc_table[7][low & 0xff] ^ crc_table[6][low >> 8 & 0xff] ^ crc_table[5][low >> 16 & 0xff] ^
        crc_table[4][low >> 24] ^ crc_table[3][high & 0xff] ^ crc_table[2][high >> 8 & 0xff] ^
        crc_table[1][high >> 16 & 0xff] ^ crc_table[0][high >> 24];
  }
  while (length--) c = crc_table[0][(c ^ *bytes++) & 0xff] ^ (c >> 8);
  return ~c;
}

static int by_block(const void *a, const void *b) {
  const struct run *x = a, *y = b;
  return x->block < y->block ? -1 : x->block > y->block;
}

void pack_free(struct pack *pack) {
  free(pack->runs);
  free(pack->gone);
  free(pack->checked);
  pack->runs = NULL;
  pack->gone = pack->checked = NULL;
}

const char *pack_open(struct pack *pack, const uint8_t *bytes, size_t length, uint64_t disk_size) {
  memset(pack, 0, sizeof *pack);
  if (length < PACK_HEADER || memcmp(bytes, "BWPACK01", 8)) return "no pack";
  pack->run_count = le32(bytes + 60);
  pack->stored = le32(bytes + 64);
  if (pack->run_count > MOST_BLOCKS || pack->stored > MOST_BLOCKS) return "too large";
  size_t index = PACK_HEADER + 8 * (size_t)pack->run_count + 4 * (size_t)pack->stored;
  if (length != index + (size_t)pack->stored * PACK_BLOCK) return "cut off";
  if (crc32_of(bytes + 12, index - 12) != le32(bytes + 8)) return "damaged";
  uint64_t size = le32(bytes + 16) | (uint64_t)le32(bytes + 20) << 32;
  if (le32(bytes + 12) != PACK_BLOCK || size != disk_size) return "of another disk";
  pack->disk_size = size;
  pack->checksums = bytes + PACK_HEADER + 8 * (size_t)pack->run_count;
  pack->content = bytes + index;
  pack->runs = calloc(pack->run_count + 1, sizeof *pack->runs);
  if (!pack->runs) return "out of memory";
  uint64_t blocks = 0, stored = 0, end = 0, limit = size / PACK_BLOCK + (size % PACK_BLOCK != 0);
  for (uint32_t i = 0; i < pack->run_count; i++) {
    struct run *run = &pack->runs[i];
    uint32_t word = le32(bytes + PACK_HEADER + 8 * i + 4);
    run->block = le32(bytes + PACK_HEADER + 8 * i);
    run->count = word & ~ZERO_RUN;
    run->zero = (word & ZERO_RUN) != 0;
    run->ordinal = (uint32_t)blocks;
    run->content = (uint32_t)stored;
    blocks += run->count;
    if (!run->zero) stored += run->count;
    if (run->count == 0 || blocks > 4 * MOST_BLOCKS) return pack_free(pack), "nonsense";
  }
  qsort(pack->runs, pack->run_count, sizeof *pack->runs, by_block);
  for (uint32_t i = 0; i < pack->run_count; i++) {
    if (pack->runs[i].block < end) return pack_free(pack), "nonsense";
    end = (uint64_t)pack->runs[i].block + pack->runs[i].count;
  }
  if (stored != pack->stored || end > limit) return pack_free(pack), "nonsense";
  pack->blocks = (uint32_t)blocks;
  pack->gone = calloc(blocks + 1, 1);
  pack->checked = calloc(blocks + 1, 1);
  if (!pack->gone || !pack->checked) return pack_free(pack), "out of memory";
  return NULL;
}

/* The first run that ends after `block`: run_count where there is none. */
static uint32_t find_run(const struct pack *pack, uint64_t block) {
  uint32_t low = 0, high = pack->run_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if ((uint64_t)pack->runs[middle].block + pack->runs[middle].count <= block) low = middle + 1;
    else high = middle;
  }
  return low;
}

void pack_forget(struct pack *pack, uint64_t offset, uint64_t length) {
  if (length == 0) return;
  uint64_t first = offset / PACK_BLOCK, last = (offset + length - 1) / PACK_BLOCK;
  if (last < first) last = UINT64_MAX;
  for (uint32_t i = find_run(pack, first); i < pack->run_count && pack->runs[i].block <= last; i++) {
    const struct run *run = &pack->runs[i];
    uint64_t end = (uint64_t)run->block + run->count;
    for (uint64_t b = run->block > first ? run->block : first; b < end && b <= last; b++)
      pack->gone[run->ordinal + (b - run->block)] = 1;
  }
}

int pack_read(struct pack *pack, uint8_t *target, uint64_t offset, uint32_t length) {
  if (offset > pack->disk_size || length > pack->disk_size - offset) return 0;
  uint32_t i = find_run(pack, offset / PACK_BLOCK);
  while (length > 0) {
    uint64_t block = offset / PACK_BLOCK;
    uint32_t within = (uint32_t)(offset % PACK_BLOCK), part = PACK_BLOCK - within;
    if (part > length) part = length;
    if (i < pack->run_count && (uint64_t)pack->runs[i].block + pack->runs[i].count <= block) i++;
    if (i == pack->run_count || pack->runs[i].block > block) return 0;
    const struct run *run = &pack->runs[i];
    uint32_t ordinal = run->ordinal + (uint32_t)(block - run->block);
    if (pack->gone[ordinal]) return 0;
    if (run->zero) {
      memset(target, 0, part);
    } else {
      uint32_t at = run->content + (uint32_t)(block - run->block);
      const uint8_t *content = pack->content + (size_t)at * PACK_BLOCK;
      if (!pack->checked[ordinal] && crc32_of(content, PACK_BLOCK) != le32(pack->checksums + 4 * (size_t)at)) {
        pack->gone[ordinal] = 1;
        return 0;
      }
      pack->checked[ordinal] = 1;
      memcpy(target, content + within, part);
    }
    target += part;
    offset += part;
    length -= part;
  }
  return 1;
}
