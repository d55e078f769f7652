// Eight bits on the matrix unit for layers of 256 inputs and outputs: results and the next layer's levels are made of
// the block before while the unit multiplies, two rays after the other, and never leave the nearest cache.
//
// What decides the order of instructions here, measured on Sapphire Rapids: the unit takes 16 cycles for two tiles, and
// a tile of sums is stored only once it is ready, so that two take turns. As long as the unit is in use, products of
// floats have one port instead of two, while sums, comparisons and permutations keep the other. The nearest cache
// gives up a changed line in more than three cycles, so sums are written over those that have been read.
#pragma once
#include "products.h"

enum {
  CHANNELS = 256,   // inputs and outputs
  BLOCK = 16,   // rays
  NOTHING = 2,  // beside RELU and ADD: no block before
};

// A block whose products are done, but for those in the tiles. Its sums, 64 bytes each of a ray and 16 outputs, lie ray
// by ray, or transposed: then the next block's, written column by column, replace what has been read row by row.
typedef struct {
  const Layer *layer;
  int to, ray, transposed;
  float *out;  // ADD: what results are added to. RELU: (rays, CHANNELS) for results, or none
} Waiting;

typedef struct {
  vf most[2];
  float divisor[2][2], reciprocal[2][2];  // of two rays, by turns
} Pairs;

static const uint8_t IN_ORDER[64] __attribute__((aligned(64))) = {
#define FOUR(i, j) 8 * (i) + 2 * (j), 8 * (i) + 2 * (j) + 1, 8 * (i) + 2 * (j) + 8, 8 * (i) + 2 * (j) + 9
#define SIXTEEN(j) FOUR(0, j), FOUR(2, j), FOUR(4, j), FOUR(6, j)
    SIXTEEN(0), SIXTEEN(1), SIXTEEN(2), SIXTEEN(3)};

static __attribute__((noinline)) void divided(int no_negative, const float *x, float divisor, float reciprocal, int8_t *q) {
  vi v[4];
  UNROLL for (int i = 0; i < 4; i++) {
    const vf y = load(x + i * VF);
    v[i] = levels(no_negative ? max_f(y, (vf){0}) : y, divisor, reciprocal);
  }
  store_bytes(q, v[0], v[1], v[2], v[3], 0);
}

// Levels of 64 numbers, 0 for negative ones where `no_negative`. One product and sum, rounded, gives level + 1/2 with 15
// bits behind the point. Where these are not all zero, their rounding, and that of the reciprocal, cannot have crossed
// what a division would not have: then the level is what is before the point. Where they are, one time in 2^15, it is
// divided.
INLINE void levels_of_64(int no_negative, const float *x, float divisor, float reciprocal, int8_t *q) {
  const __m512 half = _mm512_set1_ps(384.5f), factor = _mm512_set1_ps(reciprocal);  // 384: a unit has 15 bits below it
  const __m512i fraction = _mm512_set1_epi32(0x7FFF), where = _mm512_set1_epi16(15 | 47 << 8);
  __m512i bytes = where;
  __mmask16 sure = 0xFFFF;
  UNROLL for (int i = 0; i < 4; i++) {
    const __m512 y = (__m512)load(x + i * VF);
    const __mmask16 positive = _mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ);
    const __m512i v = _mm512_castps_si512(no_negative ? _mm512_mask3_fmadd_ps(y, factor, half, positive)
                                                      : _mm512_fmadd_ps(y, factor, half));
    sure = _mm512_mask_test_epi32_mask(sure, v, fraction);
    bytes = _mm512_mask_multishift_epi64_epi8(bytes, 0x0303030303030303u << (2 * i), where, v);
  }
  bytes = _mm512_permutexvar_epi8(_mm512_load_si512(IN_ORDER), bytes);
  _mm512_storeu_si512(q, _mm512_xor_si512(bytes, _mm512_set1_epi8((char)128)));
  if (__builtin_expect(sure != 0xFFFF, 0)) divided(no_negative, x, divisor, reciprocal, q);
}

// Where results of a pair of rays wait for their scale: two pairs by turns, behind the sums.
INLINE float *waiting_results(int to, const Waiting *w, int pair, const Tile *t) {
  if (to == ADD) return w->out + (size_t)(w->ray + 2 * pair) * CHANNELS;
  return (float *)t->sums + BLOCK * CHANNELS + (pair & 1) * 2 * CHANNELS;
}

// The scales of two rays, of which `most` has the largest of every 16th output.
INLINE void scales_of(const vf most[2], float *scale, float *divisor, float *reciprocal) {
  const __m512 a = (__m512)most[0], b = (__m512)most[1];
  __m512 m = _mm512_max_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
  m = _mm512_max_ps(m, _mm512_shuffle_f32x4(m, m, 0xB1));
  m = _mm512_max_ps(m, _mm512_permute_ps(m, 0x4E));
  m = _mm512_max_ps(m, _mm512_permute_ps(m, 0xB1));
  const __m128 amax = _mm_unpacklo_ps(_mm512_castps512_ps128(m), _mm512_extractf32x4_ps(m, 2));
  const __mmask8 some = _mm_cmp_ps_mask(amax, _mm_set1_ps(0x1p-24f), _CMP_GT_OQ);
  const __m128 s = _mm_maskz_div_ps(some, amax, _mm_set1_ps(127.0f));
  const __m128 d = _mm_mask_mov_ps(_mm_set1_ps(1.0f), some, s);
  _mm_storel_pi((__m64 *)scale, s);
  _mm_storel_pi((__m64 *)divisor, d);
  _mm_storel_pi((__m64 *)reciprocal, _mm_div_ps(_mm_set1_ps(1.0f), d));
}

// Results of two rays, outputs o to o + 63, from sums; with the last of them the rays' scales.
INLINE void results(int to, const Waiting *w, int pair, int o, const Tile *t, Pairs *p) {
  const int ray = w->ray + 2 * pair, row = w->transposed ? 64 : 4 * CHANNELS, column = w->transposed ? 4 * CHANNELS : 64;
  const char *sums = (const char *)t->sums + 2 * pair * row + o / 16 * column;
  const float *bias = w->layer->bias + o, *scale = w->layer->scale + o;
  float *out = waiting_results(to, w, pair, t) + o;
  const vf ray_scale[2] = {all(t->scale[ray]), all(t->scale[ray + 1])};
  vf y[4][2], most[2];
  UNROLL for (int r = 0; r < 2; r++) most[r] = o ? p->most[r] : (vf){0};
  UNROLL for (int i = 0; i < 4; i++) UNROLL for (int r = 0; r < 2; r++) {
    // No sum exceeds 256 * 127 * 127 < 2^22: beside 1.5 * 2^23 it is a float's mantissa.
    const vf sum = (vf)(load_i(sums + i * column + r * row) + 0x4B400000) - 12582912.0f;
    y[i][r] = sum * (load(scale + i * VF) * ray_scale[r]) + load(bias + i * VF);
    if (to == ADD) y[i][r] += load(out + r * CHANNELS + i * VF);
    most[r] = to == ADD ? (vf)_mm512_range_ps((__m512)y[i][r], (__m512)most[r], 0x0B) : max_f(y[i][r], most[r]);
  }
  UNROLL for (int i = 0; i < 4; i++) UNROLL for (int r = 0; r < 2; r++) store(out + r * CHANNELS + i * VF, y[i][r]);
  UNROLL for (int r = 0; r < 2; r++) p->most[r] = most[r];
  if (to == RELU && w->out)
    UNROLL for (int i = 0; i < 4; i++) UNROLL for (int r = 0; r < 2; r++)
      store(w->out + (size_t)(ray + r) * CHANNELS + o + i * VF, max_f(y[i][r], (vf){0}));
  if (o + 64 == CHANNELS) scales_of(most, t->scale + ray, p->divisor[pair & 1], p->reciprocal[pair & 1]);
}

// The next layer's inputs of two rays, o to o + 63, from their results.
INLINE void next_inputs(int to, const Waiting *w, int pair, int o, const Tile *t, const Pairs *p) {
  const float *y = waiting_results(to, w, pair, t) + o;
  int8_t *q = (int8_t *)t->q + (size_t)(w->ray + 2 * pair) * CHANNELS + o;
  UNROLL for (int r = 0; r < 2; r++)
    levels_of_64(to == RELU, y + r * CHANNELS, p->divisor[pair & 1][r], p->reciprocal[pair & 1][r], q + r * CHANNELS);
}

// 64 inputs of 16 rays by 16 outputs.
#define UNIT_STEP(acc, a, b)                                                                                  \
  _tile_stream_loadd(b, weights, 64);                                                                         \
  weights += 1024;                                                                                            \
  _tile_dpbssd(acc, a, b);
#define RESULTS(o)                                                                                            \
  if (to != NOTHING) results(to, w, pair, o, t, &pairs);
#define NEXT_INPUTS(o)                                                                                        \
  if (to != NOTHING && pair) next_inputs(to, w, pair - 1, o, t, &pairs);
// 16 outputs into one tile, the other one's stored; of the block before, half of the results of a pair of rays, and of
// the next inputs of the pair before that.
#define UNIT_COLUMN(acc, other, o)                                                                            \
  _tile_zero(acc);                                                                                            \
  UNIT_STEP(acc, 4, 2)                                                                                        \
  NEXT_INPUTS(o)                                                                                              \
  UNIT_STEP(acc, 5, 3)                                                                                        \
  RESULTS(o)                                                                                                  \
  UNIT_STEP(acc, 6, 2)                                                                                        \
  NEXT_INPUTS(o + 64)                                                                                         \
  UNIT_STEP(acc, 7, 3)                                                                                        \
  RESULTS(o + 64)                                                                                             \
  _tile_stored(other, last, last_stride);

// A block's products, while the one that waits, of this mode, is finished.
INLINE void unit_block(int to, const Layer *layer, int ray, const Waiting *w, const Tile *t) {
  const char *weights = layer->weights, *inputs = (const char *)t->q + (size_t)ray * CHANNELS;
  const int row = w->transposed ? 4 * CHANNELS : 64, column = w->transposed ? 64 : 4 * CHANNELS;  // of this block: the other way
  char *last = (char *)t->sums + (CHANNELS / 16 - 1) * row;  // of the block before
  int last_stride = column;
  Pairs pairs;
  _tile_loadd(4, inputs, CHANNELS);
  _tile_loadd(5, inputs + 64, CHANNELS);
  _tile_loadd(6, inputs + 128, CHANNELS);
  _tile_loadd(7, inputs + 192, CHANNELS);
  for (int pair = 0; pair < BLOCK / 2; pair++) {
    UNIT_COLUMN(0, 1, 0)
    last = (char *)t->sums + 2 * pair * column;
    last_stride = row;
    UNIT_COLUMN(1, 0, 128)
    last += column;
  }
  if (to != NOTHING)
    UNROLL for (int o = 0; o < CHANNELS; o += 64) next_inputs(to, w, BLOCK / 2 - 1, o, t, &pairs);
}
static void unit_block_first(const Layer *layer, int ray, const Waiting *w, const Tile *t) {
  unit_block(NOTHING, layer, ray, w, t);
}
static void unit_block_relu(const Layer *layer, int ray, const Waiting *w, const Tile *t) {
  unit_block(RELU, layer, ray, w, t);
}
static void unit_block_add(const Layer *layer, int ray, const Waiting *w, const Tile *t) {
  unit_block(ADD, layer, ray, w, t);
}

// Finishes a block that nothing is multiplied beside.
INLINE void finish_block(int to, const Waiting *w, const Tile *t) {
  const int row = w->transposed ? 64 : 4 * CHANNELS, column = w->transposed ? 4 * CHANNELS : 64;
  Pairs pairs;
  _tile_stored(1, (char *)t->sums + (CHANNELS / 16 - 1) * column, row);
  for (int pair = 0; pair < BLOCK / 2; pair++) {
    for (int o = 0; o < CHANNELS; o += 64) results(to, w, pair, o, t, &pairs);
    for (int o = 0; o < CHANNELS; o += 64) next_inputs(to, w, pair, o, t, &pairs);
  }
}
static void finish_waiting(Waiting *w, const Tile *t) {
  if (w->to == RELU) finish_block(RELU, w, t);
  if (w->to == ADD) finish_block(ADD, w, t);
  w->to = NOTHING;
}

// A layer of n rays, a multiple of 32, whose levels and scales are there. All but the last block is finished, and its
// levels are in place of the inputs.
INLINE void unit_layer(int to, const Layer *layer, int n, float *out, Waiting *w, const Tile *t) {
  for (int ray = 0; ray < n; ray += BLOCK) {
    switch (w->to) {
      case RELU: unit_block_relu(layer, ray, w, t); break;
      case ADD: unit_block_add(layer, ray, w, t); break;
      default: unit_block_first(layer, ray, w, t);
    }
    *w = (Waiting){layer, to, ray, !w->transposed, out};
  }
}
