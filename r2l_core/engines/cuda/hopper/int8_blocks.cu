// Residual blocks in 8 bits for compute capability 9.0 and width 256: as int8_blocks of triton_kernels,
// inputs of each layer quantised with one scale per ray, int8 x int8 -> int32, float32 between.
//
// A warpgroup's 64 rays keep their float32 residual in shared memory, each thread its own values. The sums
// of a whole layer lie in registers; scaled and quantised, they become the operand of the next layer right
// there: the columns of the weights are in such an order that a thread's sums are its operand's bytes.
#include "common.cuh"
#include "products.cuh"

constexpr int N_STAGES = 5;
constexpr int STAGE_BYTES = 16384;                     // 128 outputs by 128 inputs
constexpr int RESIDUAL_BYTES = TILE_RAYS * WIDTH * 4;
constexpr int PARAMETER_BYTES = 4 * WIDTH * 4;         // of a residual block: see `pack_parameters`
constexpr float LEVELS = 127.f;
constexpr float TINY = 5.9604644775390625e-08f;        // no greater value: a ray of zeros
constexpr float ROUNDING = 12582912.f;                 // 1.5 * 2^23: adding it rounds, halves to even

// The greatest among the four threads that share a row.
__device__ __forceinline__ float row_maximum(float value) {
  value = fmaxf(value, __shfl_xor_sync(~0u, value, 1));
  return fmaxf(value, __shfl_xor_sync(~0u, value, 2));
}

// The level is in the lowest byte. inverse: 127 / the greatest value, or 1 / it with RELU, where the
// multiplication itself makes negative values zero: half the time of a maximum.
template <bool RELU>
__device__ __forceinline__ u32 level(float value, float inverse) {
  return __float_as_uint(RELU ? fmaf(__saturatef(value * inverse), LEVELS, ROUNDING) : fmaf(value, inverse, ROUNDING));
}

template <bool RELU>
__device__ __forceinline__ u32 four_levels(float a, float b, float c, float d, float inverse) {
  const u32 low = __byte_perm(level<RELU>(a, inverse), level<RELU>(b, inverse), 0x0040);
  const u32 high = __byte_perm(level<RELU>(c, inverse), level<RELU>(d, inverse), 0x0040);
  return __byte_perm(low, high, 0x5410);
}

// The two rows that a thread has values of.
struct Rows {
  float upper, lower;
};

// Values of a layer, float32 as bits, in halves of 128 channels, to the operand of the next and its scales.
// greatest: of the thread's own values.
template <bool RELU>
__device__ __forceinline__ Rows quantise(const int (&first)[64], const int (&second)[64], Rows greatest, u32 (&levels)[32]) {
  const float upper = row_maximum(greatest.upper), lower = row_maximum(greatest.lower);
  // Exact divisions would take a twentieth of the kernel's time.
  const float most = RELU ? 1.f : LEVELS;
  const float to_upper = upper <= TINY ? 0.f : __fdividef(most, upper);
  const float to_lower = lower <= TINY ? 0.f : __fdividef(most, lower);
#pragma unroll
  for (int k = 0; k < 8; k++) {
    const int(&values)[64] = k < 4 ? first : second;
    auto at = [&](int i) { return __int_as_float(values[(k & 3) * 16 + i]); };
    levels[4 * k] = four_levels<RELU>(at(0), at(1), at(4), at(5), to_upper);
    levels[4 * k + 1] = four_levels<RELU>(at(2), at(3), at(6), at(7), to_lower);
    levels[4 * k + 2] = four_levels<RELU>(at(8), at(9), at(12), at(13), to_upper);
    levels[4 * k + 3] = four_levels<RELU>(at(10), at(11), at(14), at(15), to_lower);
  }
  return {upper <= TINY ? 0.f : upper * (1.f / LEVELS), lower <= TINY ? 0.f : lower * (1.f / LEVELS)};
}

// One warpgroup. Of accumulators, a thread holds for each eight channels two of row `row` and the same two
// of row `row + 8`.
// group: 0 or 1, not a template's: both warpgroups run the same instructions, which then fit their cache.
__device__ __forceinline__ void consume(int group, float* x_all, u8* memory, int n_blocks, int n_tiles) {
  const u32 stages = shared_address(memory) + RESIDUAL_BYTES, barriers = stages + N_STAGES * STAGE_BYTES;
  const u8* const parameters = memory + RESIDUAL_BYTES + N_STAGES * STAGE_BYTES + BARRIER_BYTES;
  const int thread = threadIdx.x & 127, lane = thread & 31, warp = thread >> 5;
  const int row = warp * 16 + (lane >> 2), column = 2 * (lane & 3);
  // Eight channels of a thread's two rows, 2 KB apart: no two threads of a warp meet in a bank.
  float4* const residual = (float4*)(memory + group * (RESIDUAL_BYTES / 2)) + thread;
  Place<N_STAGES> place(0);
  int half = 0;

  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
    int first[64], second[64];  // a layer's int32 sums, then its float32 values
    u32 levels[32];
    Rows greatest = {0.f, 0.f};
    float* here = x_all + ((u64)tile * TILE_RAYS + group * GROUP_RAYS + row) * WIDTH + column;
#pragma unroll
    for (int j = 0; j < 32; j++) {
      const float2 upper = *(const float2*)(here + 8 * j), lower = *(const float2*)(here + 8 * WIDTH + 8 * j);
      int(&values)[64] = j < 16 ? first : second;
      const int at = 4 * (j & 15);
      values[at] = __float_as_int(upper.x); values[at + 1] = __float_as_int(upper.y);
      values[at + 2] = __float_as_int(lower.x); values[at + 3] = __float_as_int(lower.y);
      residual[128 * j] = make_float4(upper.x, upper.y, lower.x, lower.y);
      greatest.upper = fmaxf(greatest.upper, fmaxf(fabsf(upper.x), fabsf(upper.y)));
      greatest.lower = fmaxf(greatest.lower, fmaxf(fabsf(lower.x), fabsf(lower.y)));
    }
    Rows scale = quantise<false>(first, second, greatest, levels);

    // 128 outputs of a layer; the numbers of the two stages that they take.
    auto multiply = [&](int (&sums)[64], u32 (&used)[2]) {
#pragma unroll
      for (int s = 0; s < 2; s++) {
        used[s] = place.stage;
        barrier_wait(full_of(barriers, place.stage), place.parity);
        products_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) {
          const u32* const input = levels + 4 * (4 * s + k);
          const u64 weight = operand(stages + place.stage * STAGE_BYTES + k * 32);
          product_registers_s8_128(sums, input[0], input[1], input[2], input[3], weight, s > 0 || k > 0);
        }
        products_commit();
        place.advance();
      }
    };

#pragma unroll 1
    for (int block = 0; block < n_blocks; block++) {
#pragma unroll
      for (int layer = 0; layer < 2; layer++) {
        const float4* const parameter =
            (const float4*)(parameters + half * PARAMETER_BYTES) + layer * (WIDTH / 2) + column / 2;
        u32 used_first[2], used_second[2];
        multiply(first, used_first);
        multiply(second, used_second);
        products_wait<2>();
        release(barriers, used_first[0], thread);
        release(barriers, used_first[1], thread);
        greatest = {0.f, 0.f};
        // Sums to values: scaled, and of the second layer the new residual.
        auto finish = [&](int (&values)[64], int j_first) {
#pragma unroll
          for (int i = 0; i < 16; i++) {
            const int j = j_first + i;
            const float4 two = parameter[4 * j];
            const float2 b = {two.x, two.y}, w = {two.z, two.w};
            float4 y;
            y.x = fmaf(__int2float_rn(values[4 * i]), scale.upper * w.x, b.x);
            y.y = fmaf(__int2float_rn(values[4 * i + 1]), scale.upper * w.y, b.y);
            y.z = fmaf(__int2float_rn(values[4 * i + 2]), scale.lower * w.x, b.x);
            y.w = fmaf(__int2float_rn(values[4 * i + 3]), scale.lower * w.y, b.y);
            if (layer == 0) {
              // Negative values become zero when they are quantised.
              greatest.upper = fmaxf(greatest.upper, fmaxf(y.x, y.y));
              greatest.lower = fmaxf(greatest.lower, fmaxf(y.z, y.w));
            } else {
              const float4 r = residual[128 * j];
              y = make_float4(y.x + r.x, y.y + r.y, y.z + r.z, y.w + r.w);
              residual[128 * j] = y;
              greatest.upper = fmaxf(greatest.upper, fmaxf(fabsf(y.x), fabsf(y.y)));
              greatest.lower = fmaxf(greatest.lower, fmaxf(fabsf(y.z), fabsf(y.w)));
            }
            values[4 * i] = __float_as_int(y.x); values[4 * i + 1] = __float_as_int(y.y);
            values[4 * i + 2] = __float_as_int(y.z); values[4 * i + 3] = __float_as_int(y.w);
          }
        };
        finish(first, 0);
        products_wait<0>();
        release(barriers, used_second[0], thread);
        release(barriers, used_second[1], thread);
        finish(second, 16);
        scale = layer == 0 ? quantise<true>(first, second, greatest, levels)
                           : quantise<false>(first, second, greatest, levels);
      }
      half ^= 1;
    }
#pragma unroll
    for (int j = 0; j < 32; j++) {
      const float4 r = residual[128 * j];
      *(float2*)(here + 8 * j) = make_float2(r.x, r.y);
      *(float2*)(here + 8 * WIDTH + 8 * j) = make_float2(r.z, r.w);
    }
  }
}

// x: float32 (rays, 256), in place; rays must be a multiple of 256, or a cluster waits for ever.
// weights, parameters: as `packing` lays them out.
extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(THREADS, 1)
hopper_int8_blocks(float* x, const u8* weights, const u8* parameters, int n_blocks, int n_tiles) {
  extern __shared__ __align__(1024) u8 memory[];
  const u32 stages = shared_address(memory) + RESIDUAL_BYTES, barriers = stages + N_STAGES * STAGE_BYTES;
  begin<N_STAGES>(barriers);
  const int group = threadIdx.x / 128;
  if (group == 0) {
    fewer_registers<PRODUCER_REGISTERS>();
    if (threadIdx.x == 0)
      produce<N_STAGES, STAGE_BYTES, PARAMETER_BYTES>(
          stages, barriers, barriers + BARRIER_BYTES, weights, parameters, n_blocks, n_tiles);
    __syncwarp();
  } else {
    more_registers<CONSUMER_REGISTERS>();
    consume(group - 1, x, memory, n_blocks, n_tiles);
  }
  cluster_sync();
}
