// An R2L network for rays: origins and directions in, colours out. Compiled once for every level of instruction
// sets (-DLEVEL=...), without a C library. See docs/cpu.md.
#include "amx.h"

#define GRAIN (AMX ? 32 : 12)  // rays are calculated in multiples of this
#define HOLD (AMX ? 96 : 12)   // memory is for a multiple of this many: whole blocks of every kind of layer
#define TILE (AMX ? 192 : 96)  // rays in a tile; a faster unit needs more to be worth a fetch of the weights
// Rays that pass through both layers of a block before the next ones: what they need at a time fits the two nearest
// caches, which AMX would otherwise wait for.
#define GROUP (AMX ? 96 : TILE)
#define JOINED(name, level) name##_##level
#define NAMED(name, level) JOINED(name, level)
#if defined(_WIN32)
#define EXPORT(type, name) __declspec(dllexport) type NAMED(name, LEVEL)
#else
#define EXPORT(type, name) __attribute__((visibility("default"))) type NAMED(name, LEVEL)
#endif

typedef struct {
  int32_t width, n_blocks, n_sample, n_coordinates, n_frequencies, use_residual;
  const float *depths;  // (n_sample,); n_sample 0 means Plücker coordinates
  Layer head;
  Layer turn;           // of the head's output, before it enters body and skip; without weights: none
  const float *tail_weight, *tail_bias;  // (3, width), (3,)
  const Layer *layers;                   // two a block
} Network;

typedef struct {
  int32_t n, tile;
  const float *origins, *directions;  // (n, 3)
  float *colors;                      // (n, 3)
  int32_t next;                       // the first ray that no thread has taken
  int32_t cancelled;
} Call;

#include "carry.h"  // needs EXPORT
#include "rays.h"

// ---- encoding -------------------------------------------------------------------------------------
// Cody and Waite's reduction by multiples of pi/2, then the polynomials of Cephes (Moshier, sinf.c): within 1e-7
// for arguments up to about a million.
INLINE void sine_cosine(vf x, vf *sine, vf *cosine) {
  vf turns = x * 0.636619772f + 12582912.0f;
  vi quadrant = (vi)turns;
  turns -= 12582912.0f;
  // The nearest float32 of pi/2, and what it lacks; each product is rounded only with its difference.
  vf r = x - turns * 1.57079637050628662f;
  r -= turns * -4.37113900018624283e-8f;
  r -= turns * -1.71512451e-15f;
  // Where the argument is beyond all sense, the result is wrong, but still finite.
  r = max_f(min_f(r, all(1.0f)), all(-1.0f));
  vf z = r * r;
  vf s = r + r * z * (z * (z * -1.9515295891e-4f + 8.3321608736e-3f) - 1.6666654611e-1f);
  vf c = z * z * (z * (z * 2.443315711809948e-5f - 1.388731625493765e-3f) + 4.166664568298827e-2f) - 0.5f * z + 1.0f;
  vi odd = -(quadrant & 1);
  vi first = (odd & (vi)c) | (~odd & (vi)s), second = (odd & (vi)s) | (~odd & (vi)c);
  *sine = (vf)(first ^ ((quadrant & 2) << 30));
  *cosine = (vf)(second ^ (((quadrant + 1) & 2) << 30));
}

// What the network is told about a ray: sampled points, or direction and moment.
INLINE void coordinates(const Network *net, const float *o, const float *d, float *c) {
#pragma clang fp contract(off)
  if (net->n_sample) {
    for (int s = 0; s < net->n_sample; s++)
      for (int i = 0; i < 3; i++) c[3 * s + i] = o[i] + d[i] * net->depths[s];
  } else {
    for (int i = 0; i < 3; i++) {
      int j = (i + 1) % 3, k = (i + 2) % 3;
      c[i] = d[i];
      c[3 + i] = o[j] * d[k] - o[k] * d[j];
    }
  }
}

// Features of a ray: for every octave the sines of all coordinates, then cosines likewise, then the coordinates.
// Octaves in float32 always: 2^9 * 6 does not survive less.
static void encode(const Network *net, const float *o, const float *d, float *row) {
  const int C = net->n_coordinates, L = net->n_frequencies;
  float *points = row + (size_t)2 * L * C;
  for (float *p = points; p < row + net->head.inputs; p += VF) store(p, (vf){0});
  coordinates(net, o, d, points);
  float factor = 1;
  for (int l = 0; l < L; l++, factor *= 2)
    for (int c = 0; c < C; c += VF) {
      vf s, k;
      sine_cosine(load(points + c) * factor, &s, &k);
      store(row + (size_t)l * C + c, s);
      store(row + (size_t)(L + l) * C + c, k);
    }
}

// ---- types of inputs ------------------------------------------------------------------------------
typedef uint16_t vw __attribute__((vector_size(2 * VF), aligned(2)));
INLINE void store_bf16(uint16_t *p, vf x) {
#if DOT2 && VF == 16
  *(vw *)p = (vw)_mm512_cvtneps_pbh((__m512)x);
#else
  *(vw *)p = __builtin_convertvector(rounded_bf16(x) >> 16, vw);
#endif
}
INLINE vf rounded_fp16(vf x) {
#if VF == 16
  return (vf)_mm512_cvtph_ps(_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
#elif VF == 8
  return (vf)_mm256_cvtph_ps(_mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
  return (vf)vcvt_f32_f16(vcvt_f16_f32((float32x4_t)x));
#endif
}

// n floats to the type of a layer's products; both are multiples of VF.
INLINE void convert(int kind, size_t n, const float *x, void *to) {
  for (size_t k = 0; k < n; k += VF) {
    vf v = load(x + k);
    if (kind == BF16) {
      store_bf16((uint16_t *)to + k, v);
    } else if (kind == SPLIT) {
      vf high = (vf)rounded_bf16(v);
      store_bf16((uint16_t *)to + k, high);
      store_bf16((uint16_t *)to + n + k, v - high);
    } else {
      store((float *)to + k, kind == FLOAT_BF16 ? (vf)rounded_bf16(v) : kind == FLOAT_FP16 ? rounded_fp16(v) : v);
    }
  }
}

// Levels -127 to 127 of x / scale, ties to even. The quotient is corrected to what a division gives, at a fifth of
// its price (Markstein, 1990).
INLINE vi levels(vf x, float scale, float reciprocal) {
  vf quotient = x * all(reciprocal);
  vf rest = x - quotient * all(scale);
  quotient += rest * all(reciprocal);
  return nearest(quotient);
}

#if AMX
#include "amx_bytes.h"  // needs levels
#endif

// The scale of a ray's levels, and what to divide by and to multiply with to get them.
typedef struct {
  float scale, divisor, reciprocal;
} Scale;
INLINE Scale scale_of(int to, int width, const float *x) {
  vf most[4] = {{0}, {0}, {0}, {0}};
  for (int k = 0; k < width; k += 4 * VF)
    UNROLL for (int i = 0; i < 4; i++) {
      vf v = load(x + k + i * VF);
      most[i] = max_f(to == RELU ? abs_f(v) : v, most[i]);  // no negative ones come from a ReLU
    }
  const float amax = largest(max_f(max_f(most[0], most[1]), max_f(most[2], most[3])));
  const int some = amax > 0x1p-24f;
  Scale s = {some ? amax / 127.0f : 0.0f, some ? amax / 127.0f : 1.0f, 0};
  s.reciprocal = 1.0f / s.divisor;
  return s;
}
#if !DOT4
// Signed levels in 16 bits, for product_pairs, and the products of neighbouring pairs with each other.
INLINE void quantise_halves(int width, const float *x, Scale s, int16_t *q, int32_t *own) {
  vi total = {0};
  for (int k = 0; k < width; k += 2 * VF) {
    store_halves(q + k, levels(load(x + k), s.divisor, s.reciprocal), levels(load(x + k + VF), s.divisor, s.reciprocal));
    vi a = load_i(q + k);
    total += multiply_add((vh)a, (vh)__builtin_shufflevector(a, a, PAIRWISE_SWAPPED));
  }
  *own = 0;
  for (int i = 0; i < VF; i++) *own += total[i];
  *own /= 2;  // every product is there twice
}
#endif
INLINE void quantise_bytes(int to, int width, const float *x, Scale s, int8_t *q) {
#if AMX
  for (int k = 0; k < width; k += 64) levels_of_64(to == ADD, x + k, s.divisor, s.reciprocal, q + k);
#else
  for (int k = 0; k < width; k += 4 * VF) {
    vi v[4];
    UNROLL for (int i = 0; i < 4; i++) v[i] = levels(load(x + k + i * VF), s.divisor, s.reciprocal);
    store_bytes(q + k, v[0], v[1], v[2], v[3], to == RELU ? BYTE_OFFSET : 0);
  }
#endif
}
// Rows of x to levels with a scale for each ray, four rows at a time: finding a scale takes long, but the
// processor does several at once.
INLINE void quantise(int to, int width, int n, const float *x, Tile *t) {
  for (int r0 = 0; r0 < n; r0 += 4, x += 4 * (size_t)width) {
    Scale s[4];
    UNROLL for (int r = 0; r < 4; r++) {
      s[r] = scale_of(to, width, x + (size_t)r * width);
      t->scale[r0 + r] = s[r].scale;
    }
    UNROLL for (int r = 0; r < 4; r++) {
      const float *row = x + (size_t)r * width;
      const size_t at = (size_t)(r0 + r) * width;
#if !DOT4
      if (to == RELU) {
        quantise_halves(width, row, s[r], (int16_t *)t->q + at, t->own + r0 + r);
        continue;
      }
#endif
      quantise_bytes(to, width, row, s[r], (int8_t *)t->q + at);
    }
  }
}

// ---- the network ----------------------------------------------------------------------------------
INLINE void multiply(int kind, int to, const Layer *layer, int width, int n, const void *in, const Tile *t, float *out) {
  if (kind == BYTES) {
#if AMX
    if (width == CHANNELS) {
      Waiting w = {.to = NOTHING};
      unit_layer(to, layer, n, out, &w, t);
      finish_waiting(&w, t);
    } else {
      layer_amx(BYTES, to, layer, width, n, in, t, out);
    }
#else
    layer_bytes(to, layer, width, n, t, out);
#endif
  } else if (kind == BF16 || kind == SPLIT) {
#if AMX
    layer_amx(kind, to, layer, width, n, in, t, out);
#elif DOT2
    layer_bf16(to, layer, width, n, in, out);
#endif
  } else {
    layer_float(to, layer, width, n, in, out);
  }
}

#define EACH_KIND(kind, run)                                                                                  \
  switch (kind) {                                                                                             \
    case BYTES: run(BYTES); break;                                                                            \
    case BF16: run(BF16); break;                                                                              \
    case SPLIT: run(SPLIT); break;                                                                            \
    case FLOAT_BF16: run(FLOAT_BF16); break;                                                                  \
    case FLOAT_FP16: run(FLOAT_FP16); break;                                                                  \
    default: run(FLOAT); break;                                                                               \
  }

static void head(const Network *net, int n, const Call *call, int at, int m, Tile *t) {
  const int K = net->head.inputs;
  for (int r = 0; r < n; r++) {
    const size_t ray = 3 * (size_t)(at + (r < m ? r : m - 1));  // filled up with the last
    encode(net, call->origins + ray, call->directions + ray, t->row);
#define CONVERT(kind) convert(kind, K, t->row, (char *)t->features + (size_t)r * K * (kind == BF16 ? 2 : 4))
    EACH_KIND(net->head.kind, CONVERT)
#undef CONVERT
  }
}

INLINE void layer(int to, const Network *net, const Layer *layer, int n, const float *in, float *out, Tile *t) {
  const int width = net->width;
#define RUN(kind)                                                                                             \
  if (kind == BYTES) quantise(to, width, n, in, t);                                                           \
  else if (kind != FLOAT)                                                                                     \
    for (int r = 0; r < n; r++)                                                                               \
      convert(kind, width, in + (size_t)r * width, (char *)t->q + (size_t)r * width * (kind == BF16 ? 2 : 4));  \
  multiply(kind, to, layer, width, n, kind == FLOAT ? (const void *)in : t->q, t, out)
  EACH_KIND(layer->kind, RUN)
#undef RUN
}
static void layer_first(const Network *net, const Layer *l, int n, const float *in, float *out, Tile *t) {
  layer(RELU, net, l, n, in, out, t);
}
static void layer_second(const Network *net, const Layer *l, int n, const float *in, float *out, Tile *t) {
  layer(ADD, net, l, n, in, out, t);
}

// The stream in other coordinates, which changes no colour, but spreads it evenly over its channels.
static void turn(const Network *net, int n, Tile *t) {
  float *turned = t->y;
  for (size_t i = 0; i < (size_t)n * net->width; i += VF) store(turned + i, (vf){0});
  layer_second(net, &net->turn, n, t->x, turned, t);
  t->y = t->x;
  t->x = turned;
}

#if AMX
// Whether the body is of layers that need not wait for each other.
static int is_of_bytes(const Network *net) {
  for (int l = 0; l < 2 * net->n_blocks; l++)
    if (net->layers[l].kind != BYTES) return 0;
  return net->width == CHANNELS && net->n_blocks;
}
// The body; 0 where it was cancelled.
static int body_of_bytes(const Network *net, const Call *call, int n, Tile *t) {
  Waiting w = {.to = NOTHING};
  quantise(RELU, CHANNELS, n, t->x, t);
  for (int b = 0; b < net->n_blocks; b++) {
    if (__atomic_load_n(&call->cancelled, __ATOMIC_RELAXED)) return 0;
    unit_layer(RELU, net->layers + 2 * b, n, 0, &w, t);
    unit_layer(ADD, net->layers + 2 * b + 1, n, t->x, &w, t);
  }
  finish_waiting(&w, t);
  return 1;
}
#endif

// 1 / (1 + exp(-t)), within 2e-7; no number where t is none, or infinite, as what has overflowed in float16.
INLINE vf sigmoid(vf t) {
  vf x = max_f(min_f(-t, all(87.0f)), all(-87.0f));
  vf turns = x * 1.44269504f + 12582912.0f;
  vi exponent = ((vi)turns - 0x4B400000 + 127) << 23;
  turns -= 12582912.0f;
  vf r = (x - turns * 0.693359375f) + turns * 2.12194440e-4f;
  vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  return 1.0f / (1.0f + p * (vf)exponent) + 0.0f * t;
}

static void tail(const Network *net, int m, const Tile *t, float *colors) {
  const int width = net->width;
  for (int r = 0; r < m; r++) {
    const float *x = t->x + (size_t)r * width, *hidden = t->hidden + (size_t)r * width;
    vf result = {0};
    for (int c = 0; c < 3; c++) {
      vf total = {0};
      for (int k = 0; k < width; k += VF) {
        vf v = load(x + k);
        if (net->use_residual) v += load(hidden + k);
        total += v * load(net->tail_weight + (size_t)c * width + k);
      }
      result[c] = net->tail_bias[c] + sum(total);
    }
    result = sigmoid(result);
    for (int c = 0; c < 3; c++) colors[3 * r + c] = result[c];
  }
}

// ---- calls ----------------------------------------------------------------------------------------
static size_t place(char *scratch, size_t *used, size_t bytes) {
  size_t at = *used;
  *used += (bytes + 63) & ~(size_t)63;
  return (size_t)scratch + at;
}
static size_t arrange(const Network *net, int tile, char *scratch, Tile *t) {
  const size_t rays = ((size_t)tile + HOLD - 1) / HOLD * HOLD, row = sizeof(float) * net->width;
  size_t used = 0;
  t->x = (float *)place(scratch, &used, rays * row);
  t->y = (float *)place(scratch, &used, rays * row);
  t->hidden = (float *)place(scratch, &used, rays * row);
  t->q = (void *)place(scratch, &used, rays * row);
  t->scale = (float *)place(scratch, &used, rays * 4);
  t->own = (int32_t *)place(scratch, &used, rays * 4);
  t->row = (float *)place(scratch, &used, sizeof(float) * net->head.inputs);
  t->features = (void *)place(scratch, &used, rays * sizeof(float) * net->head.inputs);
  t->sums = (int32_t *)place(scratch, &used, SUMS_BYTES);
  return used;
}

// Bytes that a thread needs for tiles of so many rays.
EXPORT(size_t, scratch_bytes)(const Network *net, int tile) {
  Tile t;
  return arrange(net, tile, 0, &t);
}

// Rays in tiles, taken from `next` until there are none: any number of threads may be in here at once, each with
// scratch of its own, aligned to 64 bytes. spent: ticks for the encoding, and for everything.
EXPORT(void, run)(const Network *net, Call *call, char *scratch, uint64_t spent[2]) {
  Tile t;
  const uint64_t began = ticks();
  uint64_t encoding = 0;
  arrange(net, call->tile, scratch, &t);
#if AMX
  configure_tiles();
#endif
  for (int at; (at = __atomic_fetch_add(&call->next, call->tile, __ATOMIC_RELAXED)) < call->n;) {
    const int m = call->n - at < call->tile ? call->n - at : call->tile, n = (m + GRAIN - 1) / GRAIN * GRAIN;
    const uint64_t start = ticks();
    head(net, n, call, at, m, &t);
    encoding += ticks() - start;
#define RUN(kind) multiply(kind, RELU, &net->head, net->width, n, t.features, &t, t.x)
    switch (net->head.kind) {
      case BF16: RUN(BF16); break;
      case SPLIT: RUN(SPLIT); break;
      default: RUN(FLOAT); break;
    }
#undef RUN
    if (net->turn.weights) turn(net, n, &t);
    if (net->use_residual)
      for (size_t i = 0; i < (size_t)n * net->width; i += VF) store(t.hidden + i, load(t.x + i));
#if AMX
    if (is_of_bytes(net)) {
      if (!body_of_bytes(net, call, n, &t)) goto done;
    } else
#endif
    for (int b = 0; b < net->n_blocks; b++) {
      if (__atomic_load_n(&call->cancelled, __ATOMIC_RELAXED)) goto done;
      for (int r = 0; r < n; r += GROUP) {
        const int rays = n - r < GROUP ? n - r : GROUP;
        float *x = t.x + (size_t)r * net->width;
        layer_first(net, net->layers + 2 * b, rays, x, t.y, &t);
        layer_second(net, net->layers + 2 * b + 1, rays, t.y, x, &t);
      }
    }
    tail(net, m, &t, call->colors + 3 * (size_t)at);
  }
done:
#if AMX
  _tile_release();
#endif
  spent[0] = encoding;
  spent[1] = ticks() - began;
}

// One body layer alone, for tests: n rays, a multiple of GRAIN and at most `tile`, (n, width) in and out. The first of
// a block stores max(y, 0), the second adds y.
EXPORT(void, one_layer)(const Network *net, int index, int n, int tile, const float *in, float *out, char *scratch) {
  Tile t;
  arrange(net, tile, scratch, &t);
#if AMX
  configure_tiles();
#endif
  if (index % 2) layer_second(net, net->layers + index, n, in, out, &t);
  else layer_first(net, net->layers + index, n, in, out, &t);
#if AMX
  _tile_release();
#endif
}

// ---- the processor's peak -------------------------------------------------------------------------
// Operations done: `rounds` times independent multiplications of a kind, as the inner loops have them.
EXPORT(int64_t, multiply_only)(int kind, int rounds) {
  const int chains = 12;
#if AMX
  if (kind == BYTES || kind == BF16) {
    configure_tiles();
    for (int i = 0; i < rounds; i++) {
      if (kind == BYTES) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
      } else {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_release();
    return (int64_t)rounds * 4 * 2 * 16 * 16 * (kind == BYTES ? 64 : 32);
  }
#endif
#define CHAINS(type, step)                                                                                    \
  type acc[12];                                                                                               \
  UNROLL for (int j = 0; j < chains; j++) acc[j] = (type){0};                                                 \
  for (int i = 0; i < rounds; i++) {                                                                          \
    UNROLL for (int j = 0; j < chains; j++) {                                                                 \
      step;                                                                                                   \
      OPAQUE(acc[j]);                                                                                         \
    }                                                                                                         \
  }
  vi a = (vi){0} + 0x01020304, w = (vi){0} + 0x04030201;
  OPAQUE(a);
  OPAQUE(w);
  if (kind == BYTES) {
#if DOT4
    CHAINS(vi, acc[j] = dot4(acc[j], a, w))
#else
    CHAINS(vh, acc[j] += multiply_bytes(a, w))
#endif
    return (int64_t)rounds * chains * 2 * 4 * VF;
  }
#if DOT2
  if (kind == BF16) {
    CHAINS(vf, acc[j] = dot2(acc[j], a, w))
    return (int64_t)rounds * chains * 2 * 2 * VF;
  }
#endif
  CHAINS(vf, acc[j] += (vf)a * (vf)w)
  return (int64_t)rounds * chains * 2 * VF;
}

// How this level wants its weights, for packing.py.
EXPORT(void, layout)(int32_t facts[7]) {
  facts[0] = PANEL;
  facts[1] = GRAIN;
  facts[2] = DOT4;
  facts[3] = BYTE_OFFSET;
  facts[4] = DOT2;
  facts[5] = AMX;
  facts[6] = TILE;
}
