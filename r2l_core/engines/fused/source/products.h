// One layer of a tile: panels of outputs outside, blocks of rays inside, so that a panel's weights stay in the
// nearest cache while all rays of the tile pass by. Sums run over the inputs in one fixed order for every ray,
// so that a colour does not depend, by a single bit, on which rays it is calculated with.
#pragma once
#include "isa.h"

enum Kind {  // of a layer's products; the same numbers as in packing.py
  FLOAT = 0,
  FLOAT_BF16 = 1,  // inputs rounded to bfloat16 or float16, products in float32
  FLOAT_FP16 = 2,
  BF16 = 3,
  BYTES = 4,
  SPLIT = 5,  // float32 as sums of two bfloat16: three products
};
enum Mode { PAIRS = 0 };  // of a panel without dot4; otherwise the number of steps in a window

typedef struct {
  int32_t kind, inputs;   // inputs: a multiple of 64
  const void *weights;    // packed, one panel after the other
  const float *bias;      // (outputs,)
  const float *scale;     // BYTES: (outputs,) of the weights
  const int32_t *start;   // BYTES: (outputs,) what the sums begin with
  const uint8_t *modes;   // BYTES without dot4: (panels,)
} Layer;

typedef struct {
  float *x, *y, *hidden;  // (rays, width): residual stream, inside of a block, head's output
  float *scale;           // (rays,) of the levels
  int32_t *own;           // (rays,) PAIRS: the products of each ray with itself
  void *q;                // (rays, width) inputs in the type of the products
  float *row;             // (inputs of the head,)
  void *features;         // (rays, inputs of the head) in the type of the products
  int32_t *sums;          // AMX: two blocks of 32 by 32
} Tile;

enum To { RELU, ADD };  // out = max(y, 0), or out += y

// Asks for a share of the next panel's weights while this one is multiplied.
INLINE void fetch(const void *weights, size_t bytes, int r0, int n, int rays) {
  const char *p = (const char *)weights + ((bytes * r0 / n) & ~(size_t)63);
  const char *end = (const char *)weights + bytes * (r0 + rays < n ? r0 + rays : n) / n;
  for (; p < end; p += 64) __builtin_prefetch(p, 0, 2);
}

// Results of one ray and panel to where they belong.
INLINE void finish(int to, vf y[NV], float *out) {
  UNROLL for (int j = 0; j < NV; j++)
    store(out + j * VF, to == RELU ? max_f(y[j], (vf){0}) : y[j] + load(out + j * VF));
}

// ---- float32 --------------------------------------------------------------------------------------
INLINE void layer_float(int to, const Layer *layer, int outputs, int n, const float *in, float *out) {
  const int K = layer->inputs;
  const float *w = layer->weights;
  for (int o = 0; o < outputs; o += PANEL, w += (size_t)K * PANEL)
    for (int r0 = 0; r0 < n; r0 += R) {
      const float *a = in + (size_t)r0 * K, *wk = w;
      vf acc[R][NV];
      UNROLL for (int r = 0; r < R; r++) UNROLL for (int j = 0; j < NV; j++) acc[r][j] = load(layer->bias + o + j * VF);
      fetch(w + (size_t)K * PANEL, (size_t)K * PANEL * 4, r0, n, R);
      for (int k = 0; k < K; k++, wk += PANEL) {
        vf wv[NV];
        UNROLL for (int j = 0; j < NV; j++) wv[j] = load(wk + j * VF);
        UNROLL for (int r = 0; r < R; r++) {
          vf x = all(a[(size_t)r * K + k]);
          UNROLL for (int j = 0; j < NV; j++) acc[r][j] += x * wv[j];
        }
      }
      UNROLL for (int r = 0; r < R; r++)
        finish(to, acc[r], out + (size_t)(r0 + r) * outputs + o);
    }
}

// ---- bfloat16 -------------------------------------------------------------------------------------
#if DOT2
INLINE void layer_bf16(int to, const Layer *layer, int outputs, int n, const uint16_t *in, float *out) {
  const int K = layer->inputs;
  const uint16_t *w = layer->weights;
  for (int o = 0; o < outputs; o += PANEL, w += (size_t)K * PANEL)
    for (int r0 = 0; r0 < n; r0 += R) {
      const uint16_t *a = in + (size_t)r0 * K, *wk = w;
      vf acc[R][NV];
      UNROLL for (int r = 0; r < R; r++) UNROLL for (int j = 0; j < NV; j++) acc[r][j] = load(layer->bias + o + j * VF);
      fetch(w + (size_t)K * PANEL, (size_t)K * PANEL * 2, r0, n, R);
      for (int k = 0; k < K; k += 2, wk += 2 * PANEL) {
        vi wv[NV];
        UNROLL for (int j = 0; j < NV; j++) wv[j] = load_i(wk + j * 2 * VF);
        UNROLL for (int r = 0; r < R; r++) {
          vi x = four_bytes(a + (size_t)r * K + k);
          UNROLL for (int j = 0; j < NV; j++) acc[r][j] = dot2(acc[r][j], x, wv[j]);
        }
      }
      UNROLL for (int r = 0; r < R; r++)
        finish(to, acc[r], out + (size_t)(r0 + r) * outputs + o);
    }
}
#endif

// ---- eight bits -----------------------------------------------------------------------------------
// Sums of integers to results: sum * (weight's scale * ray's scale) + bias.
INLINE void finish_bytes(int to, const Layer *layer, int o, vi sums[NV], float ray_scale, float *out) {
  vf y[NV];
  UNROLL for (int j = 0; j < NV; j++)
    y[j] = __builtin_convertvector(sums[j], vf) * (load(layer->scale + o + j * VF) * all(ray_scale)) +
           load(layer->bias + o + j * VF);
  finish(to, y, out);
}

#if DOT4
INLINE void product_dot4(int K, const uint8_t *a, const int8_t *w, vi acc[R][NV]) {
  for (int k = 0; k < K; k += 4, w += 4 * PANEL) {
    vi wv[NV];
    UNROLL for (int j = 0; j < NV; j++) wv[j] = load_i(w + j * 4 * VF);
    UNROLL for (int r = 0; r < R; r++) {
      vi x = four_bytes(a + (size_t)r * K + k);
      UNROLL for (int j = 0; j < NV; j++) acc[r][j] = dot4(acc[r][j], x, wv[j]);
    }
  }
}
#else
// Winograd's pairs (1968) in 16 bits: (a0 + w1)(a1 + w0) = a0 w0 + a1 w1 + a0 a1 + w0 w1, one multiplication for
// two products. What depends on the weights alone is in `start`, what depends on the ray alone in `own`.
INLINE void product_pairs(int K, const int16_t *a, const int16_t *w, vi acc[R_PAIRS][NV]) {
  for (int k = 0; k < K; k += 4, w += 4 * PANEL) {
    vi w0[NV], w1[NV];
    UNROLL for (int j = 0; j < NV; j++) {
      w0[j] = load_i(w + j * 2 * VF);
      w1[j] = load_i(w + 2 * PANEL + j * 2 * VF);
    }
    UNROLL for (int r = 0; r < R_PAIRS; r++) {
      vh a0 = (vh)four_bytes(a + (size_t)r * K + k), a1 = (vh)four_bytes(a + (size_t)r * K + k + 2);
      UNROLL for (int j = 0; j < NV; j++) acc[r][j] += multiply_add(a0 + (vh)w1[j], a1 + (vh)w0[j]);
    }
  }
}
// Unsigned bytes times signed bytes, summed in 16 bits over `window` steps and then widened. packing.py proves for
// each panel that no such sum can overflow.
INLINE void product_windows(const int window, int K, const uint8_t *a, const int8_t *w, vi acc[R_WINDOWS][NV]) {
  const vh ones = (vh){0} + 1;
  for (int k = 0; k < K; k += 4 * window) {
    vh s[R_WINDOWS][NV];
    UNROLL for (int t = 0; t < window; t++, w += 4 * PANEL) {
      vi wv[NV];
      UNROLL for (int j = 0; j < NV; j++) wv[j] = load_i(w + j * 4 * VF);
      UNROLL for (int r = 0; r < R_WINDOWS; r++) {
        vi x = four_bytes(a + (size_t)r * K + k + 4 * t);
        UNROLL for (int j = 0; j < NV; j++) {
          vh p = multiply_bytes(x, wv[j]);
          s[r][j] = t ? s[r][j] + p : p;
        }
      }
    }
    UNROLL for (int r = 0; r < R_WINDOWS; r++)
      UNROLL for (int j = 0; j < NV; j++) acc[r][j] += multiply_add(s[r][j], ones);
  }
}
#endif

// One panel of all rays. `product` adds to acc[rays][NV].
#define BLOCKS(rays, panel_bytes, product)                                                                    \
  for (int r0 = 0; r0 < n; r0 += rays) {                                                                      \
    vi acc[rays][NV];                                                                                         \
    UNROLL for (int r = 0; r < rays; r++)                                                                     \
      UNROLL for (int j = 0; j < NV; j++) acc[r][j] = load_i(layer->start + o + j * VF);                      \
    fetch(w + (panel_bytes), panel_bytes, r0, n, rays);                                                       \
    product;                                                                                                  \
    UNROLL for (int r = 0; r < rays; r++)                                                                     \
      finish_bytes(to, layer, o, acc[r], t->scale[r0 + r], out + (size_t)(r0 + r) * outputs + o);             \
  }

INLINE void layer_bytes(int to, const Layer *layer, int outputs, int n, const Tile *t, float *out) {
  const int K = layer->inputs;
  const char *w = layer->weights;
  for (int o = 0; o < outputs; o += PANEL) {
#if DOT4
    BLOCKS(R, (size_t)K * PANEL, product_dot4(K, (const uint8_t *)t->q + (size_t)r0 * K, (const int8_t *)w, acc))
    w += (size_t)K * PANEL;
#else
    if (to == RELU) {
      BLOCKS(R_PAIRS, (size_t)K * PANEL * 2,
             UNROLL for (int r = 0; r < R_PAIRS; r++) UNROLL for (int j = 0; j < NV; j++) acc[r][j] -= t->own[r0 + r];
             product_pairs(K, (const int16_t *)t->q + (size_t)r0 * K, (const int16_t *)w, acc))
      w += (size_t)K * PANEL * 2;
      continue;
    }
    switch (layer->modes[o / PANEL]) {
#define WINDOWS(window)                                                                                       \
  case window:                                                                                                \
    BLOCKS(R_WINDOWS, (size_t)K * PANEL,                                                                      \
           product_windows(window, K, (const uint8_t *)t->q + (size_t)r0 * K, (const int8_t *)w, acc))        \
    break;
      WINDOWS(1) WINDOWS(2) WINDOWS(4) WINDOWS(8)
#undef WINDOWS
    }
    w += (size_t)K * PANEL;
#endif
  }
}
