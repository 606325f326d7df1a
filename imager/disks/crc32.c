/*
 * CRC-32 with carry-less multiplication: sixteen bytes are multiplied by the power of x that they are ahead of others,
 * and added to those. V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
 * Intel 2009; the constants are those for the reflected polynomial 0xedb88320.
 */
#include "crc32.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define WITH_CLMUL __attribute__((target("pclmul,sse4.1")))

int crc32_available(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

WITH_CLMUL static inline __m128i load(const uint8_t *bytes) { return _mm_loadu_si128((const __m128i *)bytes); }

/* `ahead`, moved by the powers of x in `by`, added to `to`. */
WITH_CLMUL static inline __m128i fold(__m128i ahead, __m128i by, __m128i to) {
  __m128i low = _mm_clmulepi64_si128(ahead, by, 0x00), high = _mm_clmulepi64_si128(ahead, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), to);
}

WITH_CLMUL uint32_t crc32_folded(const uint8_t *bytes, size_t length) {
  /* Each pair: the power for the low eight bytes, and for the high ones. */
  const __m128i by_64_bytes = _mm_set_epi64x(0x1c6e41596, 0x154442bd4);
  const __m128i by_16_bytes = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
  const __m128i by_4_bytes = _mm_set_epi64x(0, 0x163cd6124);
  /* The polynomial, and x^64 divided by it (Barrett). */
  const __m128i reduction = _mm_set_epi64x(0x1f7011641, 0x1db710641);
  const __m128i word = _mm_setr_epi32(-1, 0, 0, 0);
  /* The register begins with ones. */
  __m128i a = _mm_xor_si128(load(bytes), word);
  __m128i b = load(bytes + 16), c = load(bytes + 32), d = load(bytes + 48);
  for (size_t at = 64; at < length; at += 64) {
    a = fold(a, by_64_bytes, load(bytes + at));
    b = fold(b, by_64_bytes, load(bytes + at + 16));
    c = fold(c, by_64_bytes, load(bytes + at + 32));
    d = fold(d, by_64_bytes, load(bytes + at + 48));
  }
  a = fold(fold(fold(a, by_16_bytes, b), by_16_bytes, c), by_16_bytes, d);
  /* 128 bits to 96, to 64, to 32. */
  a = _mm_xor_si128(_mm_srli_si128(a, 8), _mm_clmulepi64_si128(a, by_16_bytes, 0x10));
  a = _mm_xor_si128(_mm_srli_si128(a, 4), _mm_clmulepi64_si128(_mm_and_si128(a, word), by_4_bytes, 0x00));
  __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(a, word), reduction, 0x10);
  __m128i product = _mm_clmulepi64_si128(_mm_and_si128(quotient, word), reduction, 0x00);
  return ~(uint32_t)_mm_extract_epi32(_mm_xor_si128(a, product), 1);
}

#else

int crc32_available(void) { return 0; }

uint32_t crc32_folded(const uint8_t *bytes, size_t length) {
  (void)bytes, (void)length;
  return 0;
}
#endif
