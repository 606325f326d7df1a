/*
 * CRC-32 with carry-less multiplication: sixteen bytes are multiplied by the power of x that they are ahead of others,
 * and added to those. V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
 * Intel 2009; the constants are those for the reflected polynomial 0xedb88320.
 */
#include "crc32.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#define WITH_CLMUL __attribute__((target("pclmul,sse4.1")))

#define WITH_TWOFOLD_CLMUL __attribute__((target("vpclmulqdq,avx2,pclmul,sse4.1")))

#define WITH_FOURFOLD_CLMUL __attribute__((target("vpclmulqdq,avx512f,pclmul,sse4.1")))

/* How many bits this processor multiplies at once, 0: none; asked once. */
static unsigned has(void) {
  static int known = -1;
  if (known >= 0) return (unsigned)known;
  __builtin_cpu_init();
  bool one = __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
  bool several = one && __builtin_cpu_supports("vpclmulqdq");
  bool two = several && __builtin_cpu_supports("avx2"), four = several && __builtin_cpu_supports("avx512f");
  known = four ? 512 : two ? 256 : one ? 128 : 0;
  return (unsigned)known;
}

int crc32_available(void) { return has() > 0; }

WITH_CLMUL static inline __m128i load(const uint8_t *bytes) { return _mm_loadu_si128((const __m128i *)bytes); }

/* `ahead`, moved by the powers of x in `by`, added to `to`. */
WITH_CLMUL static inline __m128i fold(__m128i ahead, __m128i by, __m128i to) {
  __m128i low = _mm_clmulepi64_si128(ahead, by, 0x00), high = _mm_clmulepi64_si128(ahead, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), to);
}

/* Each pair: the power for the low eight bytes, and for the high ones. */
WITH_CLMUL static inline __m128i by_256_bytes(void) { return _mm_set_epi64x(0x1322d1430, 0x11542778a); }
WITH_CLMUL static inline __m128i by_64_bytes(void) { return _mm_set_epi64x(0x1c6e41596, 0x154442bd4); }

/* The register begins with ones. */
WITH_CLMUL static inline __m128i ones(void) { return _mm_setr_epi32(-1, 0, 0, 0); }

/* 64 bytes, to which all was folded, to the checksum. */
WITH_CLMUL static inline uint32_t reduce(__m128i a, __m128i b, __m128i c, __m128i d) {
  const __m128i by_16_bytes = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const __m128i by_4_bytes = _mm_set_epi64x(0, 0x163cd6124);
  /* The polynomial, and x^64 divided by it (Barrett). */
  const __m128i reduction = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  const __m128i word = _mm_setr_epi32(-1, 0, 0, 0);
  a = fold(fold(fold(a, by_16_bytes, b), by_16_bytes, c), by_16_bytes, d);
  /* 128 bits to 96, to 64, to 32. */
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16_bytes, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, word), by_4_bytes, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, word), reduction, 0x10);
  __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, word), reduction, 0x00);
  return ~(uint32_t)_mm_extract_epi32(_mm_xor_si128(a, product), 1);
}

WITH_CLMUL static uint32_t one_at_once(const uint8_t *bytes, size_t length) {
  __m128i a = _mm_xor_si128(load(bytes), ones());
  __m128i b = load(bytes + 16), c = load(bytes + 32), d = load(bytes + 48);
  for (size_t at = 64; at < length; at += 64) {
    a = fold(a, by_64_bytes(), load(bytes + at));
    b = fold(b, by_64_bytes(), load(bytes + at + 16));
    c = fold(c, by_64_bytes(), load(bytes + at + 32));
    d = fold(d, by_64_bytes(), load(bytes + at + 48));
  }
  return reduce(a, b, c, d);
}

WITH_TWOFOLD_CLMUL static inline __m256i fold_two(__m256i ahead, __m256i by, __m256i to) {
  __m256i low = _mm256_clmulepi64_epi128(ahead, by, 0x00), high = _mm256_clmulepi64_epi128(ahead, by, 0x11);
  return _mm256_xor_si256(_mm256_xor_si256(low, high), to);
}

/* The same, twice as wide, for eight parts of 256 bytes side by side. At the end each goes to what is 64 bytes on. */
WITH_TWOFOLD_CLMUL static uint32_t two_at_once(const uint8_t *bytes, size_t length) {
  enum { PARTS = 8 };
  const __m256i far = _mm256_broadcastsi128_si256(by_256_bytes()), near = _mm256_broadcastsi128_si256(by_64_bytes());
  __m256i at[PARTS];
#pragma GCC unroll 8
  for (int i = 0; i < PARTS; i++) at[i] = _mm256_loadu_si256((const __m256i *)bytes + i);
  at[0] = _mm256_xor_si256(at[0], _mm256_zextsi128_si256(ones()));
  for (size_t from = 256; from < length; from += 256) {
#pragma GCC unroll 8
    for (int i = 0; i < PARTS; i++)
      at[i] = fold_two(at[i], far, _mm256_loadu_si256((const __m256i *)(bytes + from) + i));
  }
#pragma GCC unroll 8
  for (int i = 2; i < PARTS; i++) at[i] = fold_two(at[i - 2], near, at[i]);
  return reduce(_mm256_extracti128_si256(at[6], 0), _mm256_extracti128_si256(at[6], 1),
                _mm256_extracti128_si256(at[7], 0), _mm256_extracti128_si256(at[7], 1));
}

WITH_FOURFOLD_CLMUL static inline __m512i fold_four(__m512i ahead, __m512i by, __m512i to) {
  enum { XOR_OF_THREE = 0x96 };
  __m512i low = _mm512_clmulepi64_epi128(ahead, by, 0x00), high = _mm512_clmulepi64_epi128(ahead, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, to, XOR_OF_THREE);
}

/* The same, four times as wide. */
WITH_FOURFOLD_CLMUL static uint32_t four_at_once(const uint8_t *bytes, size_t length) {
  const __m512i far = _mm512_broadcast_i32x4(by_256_bytes()), near = _mm512_broadcast_i32x4(by_64_bytes());
  __m512i a = _mm512_xor_si512(_mm512_loadu_si512(bytes), _mm512_zextsi128_si512(ones()));
  __m512i b = _mm512_loadu_si512(bytes + 64), c = _mm512_loadu_si512(bytes + 128), d = _mm512_loadu_si512(bytes + 192);
  for (size_t at = 256; at < length; at += 256) {
    a = fold_four(a, far, _mm512_loadu_si512(bytes + at));
    b = fold_four(b, far, _mm512_loadu_si512(bytes + at + 64));
    c = fold_four(c, far, _mm512_loadu_si512(bytes + at + 128));
    d = fold_four(d, far, _mm512_loadu_si512(bytes + at + 192));
  }
  a = fold_four(fold_four(fold_four(a, near, b), near, c), near, d);
  return reduce(_mm512_extracti32x4_epi32(a, 0), _mm512_extracti32x4_epi32(a, 1), _mm512_extracti32x4_epi32(a, 2),
                _mm512_extracti32x4_epi32(a, 3));
}

uint32_t crc32_folded(const uint8_t *bytes, size_t length, unsigned width) {
  if (width > has()) width = has();
  return width == 512 ? four_at_once(bytes, length) : width == 256 ? two_at_once(bytes, length) : one_at_once(bytes, length);
}

#else

int crc32_available(void) { return 0; }

uint32_t crc32_folded(const uint8_t *bytes, size_t length, unsigned width) {
  (void)bytes, (void)length, (void)width;
  return 0;
}
#endif
