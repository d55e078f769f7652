// Layers on Intel's matrix unit (AMX): tiles of 16 rows of 64 bytes. A block is 32 rays by 32 outputs, in four tiles
// of sums; while the unit multiplies one block, the vector units finish the block before.
#pragma once
#include "products.h"

#if defined(__AMX_INT8__)
#define AMX 1

INLINE void configure_tiles(void) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } config __attribute__((aligned(64)));
  for (size_t i = 0; i < sizeof config / 8; i++) ((uint64_t *)&config)[i] = 0;
  config.palette = 1;
  for (int i = 0; i < 8; i++) {
    config.bytes[i] = 64;
    config.rows[i] = 16;
  }
  _tile_loadconfig(&config);
}

// Adds products over `bytes` bytes of inputs to tiles 0 to 3.
#define TILE_PRODUCT(multiply, a, stride, w, bytes)                                                           \
  for (int k = 0; k < (bytes); k += 64) {                                                                     \
    _tile_loadd(4, (a) + k, stride);                                                                          \
    _tile_loadd(6, (w) + (size_t)k / 4 * 4 * PANEL, 4 * PANEL);                                               \
    multiply(0, 4, 6);                                                                                        \
    _tile_loadd(7, (w) + (size_t)k / 4 * 4 * PANEL + 64, 4 * PANEL);                                          \
    multiply(1, 4, 7);                                                                                        \
    _tile_loadd(5, (a) + 16 * (size_t)(stride) + k, stride);                                                  \
    multiply(2, 5, 6);                                                                                        \
    multiply(3, 5, 7);                                                                                        \
  }

INLINE void finish_block(int bytes, int to, const Layer *layer, int outputs, int o, int r0, const int32_t *sums,
                         const Tile *t, float *out) {
#pragma clang loop unroll_count(4)
  for (int r = 0; r < 32; r++) {
    float *to_row = out + (size_t)(r0 + r) * outputs + o, *peak = t->peak + (size_t)(r0 + r) * VF;
    vi s[NV] = {load_i(sums + r * 32), load_i(sums + r * 32 + VF)};
    if (bytes) {
      finish_bytes(to, layer, o, s, t->scale[r0 + r], to_row, peak);
    } else {
      vf y[NV] = {(vf)s[0] + load(layer->bias + o), (vf)s[1] + load(layer->bias + o + VF)};
      finish(to, y, to_row, peak, o == 0);
    }
  }
}

INLINE void layer_amx(int kind, int to, const Layer *layer, int outputs, int n, const void *in, const Tile *t, float *out) {
  const size_t row = (size_t)layer->inputs * (kind == BYTES ? 1 : 2), panel = row * PANEL;
  const size_t stride = kind == SPLIT ? 2 * row : row;
  const char *w = layer->weights;
  int before_o = -1, before_r0 = 0, turn = 0;
  for (int o = 0; o < outputs; o += PANEL) {
    for (int r0 = 0; r0 < n; r0 += 32, turn ^= 1) {
      const char *a = (const char *)in + (size_t)r0 * stride;
      int32_t *sums = t->sums + turn * 32 * 32;
      fetch(w + panel * (kind == SPLIT ? 2 : 1), panel * (kind == SPLIT ? 2 : 1), r0, n, 32);
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      if (kind == BYTES) {
        TILE_PRODUCT(_tile_dpbssd, a, stride, w, row)
      } else {
        TILE_PRODUCT(_tile_dpbf16ps, a, stride, w, row)
        if (kind == SPLIT) {
          TILE_PRODUCT(_tile_dpbf16ps, a + row, stride, w, row)
          TILE_PRODUCT(_tile_dpbf16ps, a, stride, w + panel, row)
        }
      }
      if (before_o >= 0)
        finish_block(kind == BYTES, to, layer, outputs, before_o, before_r0, t->sums + (turn ^ 1) * 32 * 32, t, out);
      _tile_stored(0, sums, 128);
      _tile_stored(1, sums + 16, 128);
      _tile_stored(2, sums + 16 * 32, 128);
      _tile_stored(3, sums + 16 * 32 + 16, 128);
      before_o = o;
      before_r0 = r0;
    }
    w += panel * (kind == SPLIT ? 2 : 1);
  }
  finish_block(kind == BYTES, to, layer, outputs, before_o, before_r0, t->sums + (turn ^ 1) * 32 * 32, t, out);
}
#else
#define AMX 0
#endif
