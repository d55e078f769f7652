// One source for every instruction set: vector widths, and the few primitives that differ.
//
// A block of a matrix product is R rays by NV vectors of VF outputs; the inner loops are unrolled over it, and
// R and NV are as large as the registers allow. PANEL outputs are packed together (see packing.py).
#pragma once
#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VF 16
#define NV 2
#define R 12
#define R_PAIRS 6
#define R_WINDOWS 6
#define PAIRWISE_SWAPPED 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14
#elif defined(__AVX2__)
#include <immintrin.h>
#define VF 8
#define NV 2
#define R 6
#define R_PAIRS 4
#define R_WINDOWS 3
#define PAIRWISE_SWAPPED 1, 0, 3, 2, 5, 4, 7, 6
#elif defined(__aarch64__)
#include <arm_neon.h>
#define VF 4
#define NV 4
#define R 6
#else
#error "no instruction set chosen"
#endif

#define PANEL (VF * NV)
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

typedef float vf __attribute__((vector_size(4 * VF)));
typedef int32_t vi __attribute__((vector_size(4 * VF)));
typedef uint32_t vu __attribute__((vector_size(4 * VF)));
typedef float vf_any __attribute__((vector_size(4 * VF), aligned(4)));
typedef int32_t vi_any __attribute__((vector_size(4 * VF), aligned(1)));

INLINE vf load(const float *p) { return *(const vf_any *)p; }
INLINE void store(float *p, vf v) { *(vf_any *)p = v; }
INLINE vi load_i(const void *p) { return *(const vi_any *)p; }
INLINE void store_i(void *p, vi v) { *(vi_any *)p = v; }
INLINE vf all(float x) { return x - (vf){0}; }  // folds to a broadcast; 0 + x would not, because of -0
INLINE vi all_i(int32_t x) { return (vi){0} + x; }
// The larger; b where a is not a number, in one instruction.
#if VF == 16
INLINE vf max_f(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vf min_f(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif VF == 8
INLINE vf max_f(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf min_f(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
INLINE vf max_f(vf a, vf b) { return (vf)vmaxnmq_f32((float32x4_t)a, (float32x4_t)b); }
INLINE vf min_f(vf a, vf b) { return (vf)vminnmq_f32((float32x4_t)a, (float32x4_t)b); }
#endif
INLINE vf abs_f(vf a) { return __builtin_elementwise_abs(a); }
INLINE vi four_bytes(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return all_i(x);
}
INLINE float largest(vf v) {
#if VF == 16
  return _mm512_reduce_max_ps((__m512)v);
#elif VF == 8
  __m128 m = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
#else
  return vmaxnmvq_f32((float32x4_t)v);
#endif
}
INLINE float sum(vf v) {
  float total = v[0];
  for (int i = 1; i < VF; i++) total += v[i];
  return total;
}
// To the nearest integer, ties to even.
INLINE vi nearest(vf v) {
#if VF == 16
  return (vi)_mm512_cvtps_epi32((__m512)v);
#elif VF == 8
  return (vi)_mm256_cvtps_epi32((__m256)v);
#else
  return (vi)vcvtnq_s32_f32((float32x4_t)v);
#endif
}

// A clock of constant rate, for shares of time.
INLINE uint64_t ticks(void) {
#if defined(__aarch64__)
  uint64_t t;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#else
  return __builtin_ia32_rdtsc();
#endif
}

// Keeps a value in a register, and the compiler from seeing through a measurement.
#if defined(__aarch64__)
#define OPAQUE(v) __asm__ volatile("" : "+w"(v))
#else
#define OPAQUE(v) __asm__ volatile("" : "+v"(v))
#endif

// ---- four signed 8-bit products added to each 32-bit lane -----------------------------------------
// BYTE_OFFSET is added to signed levels first, where the instruction takes unsigned ones. The matrix unit, which
// multiplies bytes in place of dot4 where there is one, takes signed ones.
#if defined(__AVX512VNNI__)
#define DOT4 1
#if defined(__AMX_INT8__)
#define BYTE_OFFSET 0
#else
#define BYTE_OFFSET 128
#endif
INLINE vi dot4(vi acc, vi a, vi w) {
  return (vi)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)a, (__m512i)w);
}
#elif defined(__AVXVNNI__) && VF == 8
#define DOT4 1
#define BYTE_OFFSET 128
INLINE vi dot4(vi acc, vi a, vi w) {
  return (vi)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)w);
}
#elif defined(__ARM_FEATURE_DOTPROD)
#define DOT4 1
#define BYTE_OFFSET 0
INLINE vi dot4(vi acc, vi a, vi w) {
  return (vi)vdotq_s32((int32x4_t)acc, (int8x16_t)a, (int8x16_t)w);
}
#elif defined(__aarch64__)
// Levels are at most 127 in magnitude, so that two products fit 16 bits.
#define DOT4 1
#define BYTE_OFFSET 0
INLINE vi dot4(vi acc, vi a, vi w) {
  int16x8_t low = vmull_s8(vget_low_s8((int8x16_t)a), vget_low_s8((int8x16_t)w));
  int16x8_t high = vmull_high_s8((int8x16_t)a, (int8x16_t)w);
  return (vi)vpadalq_s16((int32x4_t)acc, vpaddq_s16(low, high));
}
#else
#define DOT4 0
#define BYTE_OFFSET 0
#endif

// ---- 16-bit products, for processors without the above --------------------------------------------
#if !DOT4
typedef int16_t vh __attribute__((vector_size(4 * VF)));
#if VF == 16
INLINE vi multiply_add(vh a, vh b) { return (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
INLINE vh multiply_bytes(vi a, vi w) { return (vh)_mm512_maddubs_epi16((__m512i)a, (__m512i)w); }
#else
INLINE vi multiply_add(vh a, vh b) { return (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
INLINE vh multiply_bytes(vi a, vi w) { return (vh)_mm256_maddubs_epi16((__m256i)a, (__m256i)w); }
#endif
#endif

// ---- two bfloat16 products added to each 32-bit lane ----------------------------------------------
#if defined(__AVX512BF16__)
#define DOT2 1
INLINE vf dot2(vf acc, vi a, vi w) {
  return (vf)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)w);
}
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define DOT2 1
INLINE vf dot2(vf acc, vi a, vi w) {
  return (vf)vbfdotq_f32((float32x4_t)acc, (bfloat16x8_t)a, (bfloat16x8_t)w);
}
#else
#define DOT2 0
#endif

// ---- narrowing ------------------------------------------------------------------------------------
// Four vectors of levels to bytes, in order.
INLINE void store_bytes(int8_t *p, vi a, vi b, vi c, vi d, int offset) {
#if VF == 16
  __m512i low = _mm512_packs_epi32((__m512i)a, (__m512i)b), high = _mm512_packs_epi32((__m512i)c, (__m512i)d);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
  _mm512_storeu_si512(p, offset ? _mm512_xor_si512(bytes, _mm512_set1_epi8((char)128)) : bytes);
#elif VF == 8
  __m256i low = _mm256_packs_epi32((__m256i)a, (__m256i)b), high = _mm256_packs_epi32((__m256i)c, (__m256i)d);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
  _mm256_storeu_si256((__m256i *)p, offset ? _mm256_xor_si256(bytes, _mm256_set1_epi8((char)128)) : bytes);
#else
  int16x8_t low = vcombine_s16(vmovn_s32((int32x4_t)a), vmovn_s32((int32x4_t)b));
  int16x8_t high = vcombine_s16(vmovn_s32((int32x4_t)c), vmovn_s32((int32x4_t)d));
  vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
#endif
}
// Two vectors of levels to 16 bits, in order.
#if !DOT4
INLINE void store_halves(int16_t *p, vi a, vi b) {
#if VF == 16
  __m512i halves = _mm512_packs_epi32((__m512i)a, (__m512i)b);
  _mm512_storeu_si512(p, _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), halves));
#else
  __m256i halves = _mm256_packs_epi32((__m256i)a, (__m256i)b);
  _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(halves, 0xD8));
#endif
}
#endif
// Floats to the nearest bfloat16, ties to even; the lower 16 bits of each lane are zero.
INLINE vu rounded_bf16(vf x) {
  vu bits = (vu)x;
  return (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000;
}
