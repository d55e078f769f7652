// Layers on Intel's matrix unit (AMX): tiles of 16 rows of 64 bytes. A block is 32 rays by 32 outputs, in four tiles
// of sums; while the unit multiplies one block, the vector units finish the block before, some rows after every step.
#pragma once
#include "products.h"

#if defined(__AMX_INT8__)
#define AMX 1
// Sums: two blocks of 32 by 32, or those of amx_bytes.h, and its results of four rays.
#define SUMS_BYTES (4 * 16 * 256 + 4 * 4 * 256)

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

// Results of rows `from` to `to_row` of a block whose sums are there.
INLINE void finish_rows(int bytes, int to, const Layer *layer, int outputs, int o, int r0, const int32_t *sums,
                        const Tile *t, float *out, int from, int end) {
  for (int r = from; r < end; r++) {
    float *to_row = out + (size_t)(r0 + r) * outputs + o;
    vi s[NV] = {load_i(sums + r * 32), load_i(sums + r * 32 + VF)};
    if (bytes) {
      finish_bytes(to, layer, o, s, t->scale[r0 + r], to_row);
    } else {
      vf y[NV] = {(vf)s[0] + load(layer->bias + o), (vf)s[1] + load(layer->bias + o + VF)};
      finish(to, y, to_row);
    }
  }
}

// One step of a block: 64 bytes of the inputs of 32 rays by as many of 2 x 16 outputs, added to tiles 0 to 3.
#define TILE_STEP(multiply, a, stride, w, w_next)                                                             \
  _tile_loadd(4, a, stride);                                                                                  \
  _tile_loadd(6, w, 64);                                                                                      \
  multiply(0, 4, 6);                                                                                          \
  _tile_loadd(7, w_next, 64);                                                                                 \
  multiply(1, 4, 7);                                                                                          \
  _tile_loadd(5, (a) + 16 * (size_t)(stride), stride);                                                        \
  multiply(2, 5, 6);                                                                                          \
  multiply(3, 5, 7);

INLINE void layer_amx(int kind, int to, const Layer *layer, int outputs, int n, const void *in, const Tile *t, float *out) {
  const size_t row = (size_t)layer->inputs * (kind == BYTES ? 1 : 2), panel = row * 16;  // of 16 outputs
  const size_t stride = kind == SPLIT ? 2 * row : row, panels_bytes = panel * (kind == SPLIT ? 2 : 1);
  const int steps = (int)(row / 64) * (kind == SPLIT ? 3 : 1);
  const char *w = layer->weights;
  int before_o = 0, before_r0 = 0, turn = 0, rows = 0;  // the block before, and how many rows of it to finish
  for (int o = 0; o < outputs; o += PANEL, w += 2 * panels_bytes) {
    for (int r0 = 0; r0 < n; r0 += 32, turn ^= 1) {
      const char *a = (const char *)in + (size_t)r0 * stride;
      const int32_t *before = t->sums + (turn ^ 1) * 32 * 32;
      int32_t *sums = t->sums + turn * 32 * 32;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int s = 0; s < steps; s++) {
        // SPLIT: high by high, low by high, high by low parts
        const size_t k = (size_t)64 * s, in_k = kind == SPLIT && k >= 2 * row ? k - 2 * row : k;
        const char *a_k = a + in_k, *w_k = w + (kind == SPLIT && k >= row ? k - row : k) * 16;
        if (kind == BYTES) {
          TILE_STEP(_tile_dpbssd, a_k, stride, w_k, w_k + panels_bytes)
        } else {
          TILE_STEP(_tile_dpbf16ps, a_k, stride, w_k, w_k + panels_bytes)
        }
        finish_rows(kind == BYTES, to, layer, outputs, before_o, before_r0, before, t, out, rows * s / steps,
                    rows * (s + 1) / steps);
      }
      _tile_stored(0, sums, 128);
      _tile_stored(1, sums + 16, 128);
      _tile_stored(2, sums + 16 * 32, 128);
      _tile_stored(3, sums + 16 * 32 + 16, 128);
      before_o = o;
      before_r0 = r0;
      rows = 32;
    }
  }
  finish_rows(kind == BYTES, to, layer, outputs, before_o, before_r0, t->sums + (turn ^ 1) * 32 * 32, t, out, 0, rows);
}
#else
#define AMX 0
#define SUMS_BYTES 0
#endif
