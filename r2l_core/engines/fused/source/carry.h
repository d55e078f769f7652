// Previews that carry the last picture along: its colours, moved to where the new camera sees them, with the few
// pixels that the network has computed for that camera. See r2l_core/render/carrying.py.
#pragma once
#include "isa.h"

#define SIDE 32            // of a tile: the widest grid of pixels that a preview is complete on
#define EDGE (SIDE + 1)    // with the first points of the next tile
#define LEAST_CONFIDENCE 0.2f  // of a pixel that was only filled in
#define LASTING 0.97f      // share of a pixel's confidence that is left a picture later
#define MOST_TRUST 0.95f   // how far a carried pixel is believed against the new ones around it
#define MISFIT 0.3f        // at this difference from the new pixels, half of a carried one is believed
#define WORST_MISFIT 0.5f  // greater ones say no more
#define UNSURE 0.03f       // doubt in a pixel without any confidence, beside how far it was off
#define UNSEEN -1.0f       // the confidence where the last picture does not reach

typedef float f4 __attribute__((vector_size(16)));
typedef float f4_any __attribute__((vector_size(16), aligned(4)));

typedef struct {
  int32_t width, height;
  int32_t cell;             // pixels, across and down, that share a depth
  int32_t stride;           // all pixels on this grid are known
  float to_last[9];         // (column, row, 1) at depth 1, to the homogeneous pixel of the last camera
  float shift[3];           // what is added to it for each unit of 1 / depth
  int32_t has_bounds;       // whether rays that miss a sphere are background
  float first[3], across[3], down[3];  // a pixel's direction: first + column * across + row * down
  float from_center[3];     // the camera, seen from the sphere's centre
  float outside;            // its squared distance from there less the squared radius
  float background[3];
  const float *last;        // (height, width, 4) the last picture and the confidence in it
  const float *inverse_depths;  // (rows, columns) of the cells
  const uint8_t *known;     // (height, width)
  const float *colors;      // (height, width, 3) of known pixels
  float *picture;           // (height, width, 4) as `last`
  float *shown;             // (height, width, 3)
  uint8_t *bytes;           // (height, width, 3) as `shown`, of 255
  float *doubt;             // (height, width) how far off the colours probably are
  int32_t next;             // the first tile that no thread has taken
} Carry;

INLINE f4 four(float x) { return (f4){x, x, x, x}; }
INLINE f4 load_4(const float *p) { return *(const f4_any *)p; }
INLINE void store_4(float *p, f4 v) { *(f4_any *)p = v; }
INLINE float clamped(float x, float low, float high) { return x > low ? (x < high ? x : high) : low; }
INLINE float largest_of_3(f4 v) {
  float a = v[0] > v[1] ? v[0] : v[1];
  return a > v[2] ? a : v[2];
}

// Where the last camera saw what lies at a pixel; 0 where that is behind it or outside of its picture.
INLINE int seen_at(const Carry *c, float column, float row, float inverse_depth, float *u, float *v) {
  const float *m = c->to_last;
  const float x = m[0] * column + m[1] * row + m[2] + inverse_depth * c->shift[0];
  const float y = m[3] * column + m[4] * row + m[5] + inverse_depth * c->shift[1];
  const float s = m[6] * column + m[7] * row + m[8] + inverse_depth * c->shift[2];
  if (!(s > 1e-6f)) return 0;
  *u = x / s;
  *v = y / s;
  return *u > -1 && *u < c->width && *v > -1 && *v < c->height;
}

// Colour and confidence there. Of the four pixels around it, the more certain ones count more.
INLINE f4 sampled(const Carry *c, float u, float v) {
  u = clamped(u, 0, c->width - 1);
  v = clamped(v, 0, c->height - 1);
  const int x0 = (int)u, y0 = (int)v;
  const int x1 = x0 + 1 < c->width ? x0 + 1 : x0, y1 = y0 + 1 < c->height ? y0 + 1 : y0;
  const float fx = u - x0, fy = v - y0;
  const float *top = c->last + 4 * (size_t)y0 * c->width, *low = c->last + 4 * (size_t)y1 * c->width;
  const f4 p[4] = {load_4(top + 4 * x0), load_4(top + 4 * x1), load_4(low + 4 * x0), load_4(low + 4 * x1)};
  const float share[4] = {(1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy};
  f4 total = {0};
  float weights = 0;
  UNROLL for (int i = 0; i < 4; i++) {
    const float weight = share[i] * (p[i][3] + LEAST_CONFIDENCE);
    total += four(weight) * p[i];
    weights += weight;
  }
  f4 color = total * four(1 / weights);
  color[3] = weights - LEAST_CONFIDENCE;
  return color;
}

// Which of n pixels of a row have a ray that meets the bounding sphere: as geometry.rays.hits_bounds.
INLINE void in_bounds(const Carry *c, int column, int row, int n, int32_t *inside) {
  // |direction|^2 is a0 + a1 x + a2 x^2, and its product with from_center is b0 + b1 x.
  float a0 = 0, a1 = 0, a2 = 0, b0 = 0, b1 = 0;
  UNROLL for (int i = 0; i < 3; i++) {
    const float d = c->first[i] + column * c->across[i] + row * c->down[i];
    a0 += d * d;
    a1 += 2 * d * c->across[i];
    a2 += c->across[i] * c->across[i];
    b0 += d * c->from_center[i];
    b1 += c->across[i] * c->from_center[i];
  }
  const float outside = c->outside;
  const int all_of_them = !c->has_bounds, around = outside < 0;
  for (int x = 0; x < n; x++) {
    const float a = a0 + x * (a1 + x * a2), b = b0 + x * b1;
    inside[x] = all_of_them | ((b * b >= a * outside) & ((b < 0) | around));
  }
}

// 1 / depth of n pixels of a row: between the cells' middles, in between.
INLINE void inverse_depths(const Carry *c, int column, int row, int n, float *to) {
  const int columns = (c->width + c->cell - 1) / c->cell, rows = (c->height + c->cell - 1) / c->cell;
  const float y = clamped((row + 0.5f) / c->cell - 0.5f, 0, rows - 1), per_pixel = 1.0f / c->cell;
  const int y0 = (int)y, y1 = y0 + 1 < rows ? y0 + 1 : y0;
  const float fy = y - y0, *top = c->inverse_depths + y0 * columns, *low = c->inverse_depths + y1 * columns;
  for (int x = 0; x < n; x++) {
    const float at = clamped((column + x + 0.5f) * per_pixel - 0.5f, 0, columns - 1);
    const int x0 = (int)at, x1 = x0 + 1 < columns ? x0 + 1 : x0;
    const float fx = at - x0;
    to[x] = (top[x0] * (1 - fx) + top[x1] * fx) * (1 - fy) + (low[x0] * (1 - fx) + low[x1] * fx) * fy;
  }
}

// How badly each of `n_depths` depths fits each cell: over the n new pixels in it, the difference between their
// colour and that of the last picture at this depth. misfits: (n_depths, cells), added to; counts: (cells,), added to.
EXPORT(void, match)(const Carry *c, int n, const int64_t *pixels, int n_depths, const float *depths, float *misfits,
                    float *counts) {
  const int columns = (c->width + c->cell - 1) / c->cell, rows = (c->height + c->cell - 1) / c->cell;
  for (int i = 0; i < n; i++) {
    const int row = (int)(pixels[i] / c->width), column = (int)(pixels[i] % c->width);
    int32_t inside;
    in_bounds(c, column, row, 1, &inside);
    if (!inside) continue;
    const int at = row / c->cell * columns + column / c->cell;
    const float *color = c->colors + 3 * pixels[i];
    counts[at] += 1;
    for (int k = 0; k < n_depths; k++) {
      float u, v, misfit = WORST_MISFIT;
      if (seen_at(c, column, row, depths[k], &u, &v)) {
        const f4 off = __builtin_elementwise_abs(sampled(c, u, v) - (f4){color[0], color[1], color[2], 0});
        misfit = clamped(off[0] + off[1] + off[2], 0, WORST_MISFIT);
      }
      misfits[(size_t)k * columns * rows + at] += misfit;
    }
  }
}

typedef struct {
  f4 moved[EDGE][EDGE];    // the last picture where this camera sees it, and the confidence in it
  f4 fresh[EDGE][EDGE];    // new pixels' colours, and how far the carried ones were off
  f4 carried[EDGE][EDGE];  // carried colours at new pixels, and the trust that follows from that
  uint8_t exact[EDGE][EDGE];
} CarriedTile;

// Unless `to` is exact, the mean of its neighbours; of one where the other one is outside.
INLINE void between(CarriedTile *t, int y, int x, int y0, int x0, int y1, int x1) {
  if (t->exact[y][x]) return;
  t->fresh[y][x] = four(0.5f) * (t->fresh[y0][x0] + t->fresh[y1][x1]);
  t->carried[y][x] = four(0.5f) * (t->carried[y0][x0] + t->carried[y1][x1]);
}

static void carry_tile(const Carry *c, int x0, int y0, CarriedTile *t) {
  const int nx = c->width - x0 < EDGE ? c->width - x0 : EDGE, ny = c->height - y0 < EDGE ? c->height - y0 : EDGE;
  const f4 background = {c->background[0], c->background[1], c->background[2], 1};
  for (int y = 0; y < ny; y++) {
    int32_t inside[EDGE];
    float inverse[EDGE];
    in_bounds(c, x0, y0 + y, nx, inside);
    inverse_depths(c, x0, y0 + y, nx, inverse);
    for (int x = 0; x < nx; x++) {
      const size_t at = (size_t)(y0 + y) * c->width + x0 + x;
      t->exact[y][x] = c->known[at] || !inside[x];
      if (!inside[x]) {
        t->moved[y][x] = t->carried[y][x] = t->fresh[y][x] = background;
        t->fresh[y][x][3] = 0;
        continue;
      }
      float u, v;
      const int seen = seen_at(c, x0 + x, y0 + y, inverse[x], &u, &v);
      f4 moved = seen ? sampled(c, u, v) : (f4){0, 0, 0, UNSEEN};
      t->moved[y][x] = moved;
      if (!c->known[at]) continue;
      const float *color = c->colors + 3 * at;
      f4 fresh = {color[0], color[1], color[2], 0};
      const float misfit = seen ? largest_of_3(__builtin_elementwise_abs(moved - fresh)) : WORST_MISFIT;
      moved = seen ? moved : fresh;
      moved[3] = seen ? 1 / (1 + misfit * misfit * (1 / (MISFIT * MISFIT))) : 0;
      fresh[3] = misfit;
      t->fresh[y][x] = fresh;
      t->carried[y][x] = moved;
    }
  }
  // From wide gaps to narrow ones.
  for (int s = c->stride / 2; s >= 1; s /= 2) {
    for (int y = 0; y < ny; y += 2 * s)
      for (int x = s; x < nx; x += 2 * s) between(t, y, x, y, x - s, y, x + s < nx ? x + s : x - s);
    for (int y = s; y < ny; y += 2 * s)
      for (int x = 0; x < nx; x += s) between(t, y, x, y - s, x, y + s < ny ? y + s : y - s, x);
  }
  for (int y = 0; y < ny && y < SIDE; y++)
    for (int x = 0; x < nx && x < SIDE; x++) {
      const size_t at = (size_t)(y0 + y) * c->width + x0 + x;
      const f4 moved = t->moved[y][x], fresh = t->fresh[y][x];
      f4 color = fresh;
      float confidence = 1;
      if (!t->exact[y][x]) {
        const float trust = moved[3] == UNSEEN ? 0 : t->carried[y][x][3];
        confidence = clamped(moved[3] * LASTING * trust, 0, 1);
        color += four(trust) * (moved - t->carried[y][x]);
        color += four(MOST_TRUST * confidence) * (moved - color);
        UNROLL for (int k = 0; k < 3; k++) color[k] = clamped(color[k], 0, 1);
      }
      color[3] = confidence;
      store_4(c->picture + 4 * at, color);
      UNROLL for (int k = 0; k < 3; k++) {
        c->shown[3 * at + k] = color[k];
        c->bytes[3 * at + k] = (uint8_t)__builtin_rintf(clamped(color[k], 0, 1) * 255);
      }
      c->doubt[at] = fresh[3] + UNSURE * (1 - confidence);
    }
}

EXPORT(size_t, carry_scratch_bytes)(void) { return sizeof(CarriedTile); }

// The new picture, in tiles taken from `next`, by any number of threads, each with scratch of its own, aligned to 64
// bytes.
EXPORT(void, carry)(Carry *c, CarriedTile *scratch) {
  const int columns = (c->width + SIDE - 1) / SIDE, rows = (c->height + SIDE - 1) / SIDE;
  for (int i; (i = __atomic_fetch_add(&c->next, 1, __ATOMIC_RELAXED)) < columns * rows;)
    carry_tile(c, i % columns * SIDE, i / columns * SIDE, scratch);
}
