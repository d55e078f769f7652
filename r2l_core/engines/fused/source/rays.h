// The rays of some pixels, as a network is asked about them: r2l_core/geometry/rays.py in one sweep, step by step. A
// list takes some sixty steps of torch there, each of which gives the interpreter's lock away.
#pragma once
#include "isa.h"

typedef struct {
  int32_t width;            // of the picture, in pixels
  int32_t canonical;        // whether origins move to the sphere of the training origins
  int32_t skip;             // whether rays that miss the scene's bounding sphere are background
  float pose[12];           // the upper three rows of T_world_camera
  float center_px[2], focal_px[2];  // x before y
  float center[3], origin_radius;   // world units
  float origin_radius_2, bound_radius_2;  // squares
} View;

INLINE float dot_3(const float *a, const float *b) {
#pragma clang fp contract(off)
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// One pixel's ray; whether the network is asked about it.
INLINE int ray_of(const View *v, int64_t pixel, float *o, float *d) {
#pragma clang fp contract(off)
  const int64_t row = pixel / v->width, column = pixel - row * v->width;
  const float seen[3] = {((float)column - v->center_px[0]) / v->focal_px[0],
                         -(((float)row - v->center_px[1]) / v->focal_px[1]), -1};
  float from_center[3];
  for (int i = 0; i < 3; i++) {
    d[i] = dot_3(seen, v->pose + 4 * i);
    o[i] = v->pose[4 * i + 3];
    from_center[i] = o[i] - v->center[i];
  }
  if (v->canonical) {
    const float length = __builtin_sqrtf(dot_3(d, d));
    float unit[3], nearest[3], entry[3];
    for (int i = 0; i < 3; i++) unit[i] = d[i] / length;
    const float along = -dot_3(from_center, unit);
    for (int i = 0; i < 3; i++) nearest[i] = from_center[i] + along * unit[i];
    const float half_2 = v->origin_radius_2 - dot_3(nearest, nearest);
    const float half_chord = __builtin_sqrtf(half_2 > 0 ? half_2 : 0);
    const int outside = dot_3(from_center, from_center) > v->bound_radius_2;
    const float side = outside && along < 0 ? -1 : 1;
    for (int i = 0; i < 3; i++) entry[i] = nearest[i] - side * half_chord * unit[i];
    // Rays that only graze the sphere have hardly any component towards the centre.
    float towards = -side * dot_3(unit, entry) / v->origin_radius;
    if (!(towards > 0.1f)) towards = 0.1f;
    for (int i = 0; i < 3; i++) {
      o[i] = entry[i] + v->center[i];
      d[i] = unit[i] / towards;
      from_center[i] = o[i] - v->center[i];
    }
  }
  const float b = dot_3(from_center, d);
  if (v->skip) {
    const float c = dot_3(from_center, from_center) - v->bound_radius_2;
    return b * b >= dot_3(d, d) * c && (b < 0 || c < 0);
  }
  // A canonical ray that points outwards has the whole scene behind it. Lines that only graze the sphere run
  // neither in nor out, but for rounding.
  const float distance = __builtin_sqrtf(dot_3(from_center, from_center)), length = __builtin_sqrtf(dot_3(d, d));
  return !v->canonical || !(b > 1e-2f * distance * length);
}

// Flat indices of pixels to those that are asked about, with their rays, and the others, both in their order. Returns
// how many are asked about. There is room for n of each.
EXPORT(int32_t, rays)(const View *v, int32_t n, const int64_t *pixels, int64_t *asked, float *origins,
                      float *directions, int64_t *others) {
  int32_t n_asked = 0;
  for (int32_t i = 0; i < n; i++) {
    if (ray_of(v, pixels[i], origins + 3 * (size_t)n_asked, directions + 3 * (size_t)n_asked))
      asked[n_asked++] = pixels[i];
    else others[i - n_asked] = pixels[i];
  }
  return n_asked;
}
