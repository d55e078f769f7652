// Residual blocks in 16 bits: x += W2 relu(W1 x + b1) + b2, for compute capability 9.0 and width 256.
//
// A warpgroup's 64 rays keep their float32 residual in registers from the first block to the last: it is
// the accumulator of the second product. For the first product it lies, rounded to 16 bits, in shared
// memory. Hidden channels go from the sums of the first product straight into the operand of the second,
// 128 at a time. Weights stream through a ring of stages; the two blocks of a cluster share them.
#include "common.cuh"
#include "products.cuh"

constexpr int N_STAGES = 4;
constexpr int STAGE_BYTES = 32768;
constexpr int INPUT_BYTES = TILE_RAYS * WIDTH * 2;
constexpr int BIAS_BYTES = 2 * WIDTH * 4;  // of a residual block: b1, b2
constexpr int CHUNK = 128;                 // hidden channels at a time
constexpr int CHUNKS = WIDTH / CHUNK;
constexpr int CHUNK_STAGES = 2;            // of each of the two products, for a chunk
constexpr int PART_BYTES = GROUP_RAYS * 128;  // 64 rays x 64 channels: an operand of the first product

struct Bf16 {
  static __device__ __forceinline__ u32 pair(float low, float high) {
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
  }
  static __device__ __forceinline__ u32 relu_pair(float low, float high) {
    u32 both;
    asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
  }
  static __device__ __forceinline__ void first(float (&sums)[64], u64 input, u64 weight) {
    product_shared_bf16_128(sums, input, weight, 1);
  }
  static __device__ __forceinline__ void second(float (&sums)[128], const u32* input, u64 weight) {
    product_registers_bf16_256(sums, input[0], input[1], input[2], input[3], weight, 1);
  }
};

// A number above 65,504 becomes infinite, and what is no number stays so through the ReLU: both show
// in the colours.
struct Fp16 {
  static __device__ __forceinline__ u32 pair(float low, float high) {
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
  }
  static __device__ __forceinline__ u32 relu_pair(float low, float high) {
    u32 both;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
  }
  static __device__ __forceinline__ void first(float (&sums)[64], u64 input, u64 weight) {
    product_shared_f16_128(sums, input, weight, 1);
  }
  static __device__ __forceinline__ void second(float (&sums)[128], const u32* input, u64 weight) {
    product_registers_f16_256(sums, input[0], input[1], input[2], input[3], weight, 1);
  }
};

__device__ __forceinline__ void store_fragments(u32 address, u32 a, u32 b, u32 c, u32 d) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(a), "r"(b),
               "r"(c), "r"(d)
               : "memory");
}

// One warpgroup. Of accumulators, a thread holds for each eight channels two of row `row` and the same two
// of row `row + 8`.
template <class Half, int GROUP>
__device__ __forceinline__ void consume(float* x_all, u8* memory, int n_blocks, int n_tiles) {
  const u32 base = shared_address(memory);
  const u32 stages = base + INPUT_BYTES, barriers = stages + N_STAGES * STAGE_BYTES;
  const u8* const biases = memory + INPUT_BYTES + N_STAGES * STAGE_BYTES + BARRIER_BYTES;
  const int thread = threadIdx.x & 127, lane = thread & 31, warp = thread >> 5;
  const int row = warp * 16 + (lane >> 2), column = 2 * (lane & 3);
  const u32 inputs = base + GROUP * (INPUT_BYTES / 2);
  const int stored_row = warp * 16 + (lane & 15), stored_column = lane >> 4;
  const u32 stored = inputs + stored_row * 128;
  Place<N_STAGES> place(0);
  u32 previous = 0;
  int half = 0;
  auto wait = [&]() { barrier_wait(full_of(barriers, place.stage), place.parity); };
  auto next = [&]() { previous = place.stage; place.advance(); };
  auto previous_is_read = [&]() { release(barriers, previous, thread); };

  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
    float x[128];
    float* here = x_all + ((u64)tile * TILE_RAYS + GROUP * GROUP_RAYS + row) * WIDTH + column;
#pragma unroll
    for (int j = 0; j < 32; j++) {
      const float2 upper = *(const float2*)(here + 8 * j), lower = *(const float2*)(here + 8 * WIDTH + 8 * j);
      x[4 * j] = upper.x; x[4 * j + 1] = upper.y;
      x[4 * j + 2] = lower.x; x[4 * j + 3] = lower.y;
    }
#pragma unroll 1
    for (int block = 0; block < n_blocks; block++) {
      const float* bias = (const float*)(biases + half * BIAS_BYTES) + column;
      half ^= 1;
      group_sync(GROUP);  // all warps have read the last block's inputs
#pragma unroll
      for (int k = 0; k < 16; k++) {
        const u32 place_in_row = ((k & 3) * 2 + stored_column) ^ (stored_row & 7);
        store_fragments(
            stored + (k >> 2) * PART_BYTES + (place_in_row << 4), Half::pair(x[8 * k], x[8 * k + 1]),
            Half::pair(x[8 * k + 2], x[8 * k + 3]), Half::pair(x[8 * k + 4], x[8 * k + 5]),
            Half::pair(x[8 * k + 6], x[8 * k + 7]));
      }
      asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
      group_sync(GROUP);
#pragma unroll
      for (int chunk = 0; chunk < CHUNKS; chunk++) {
        float sums[CHUNK / 2];
#pragma unroll
        for (int s = 0; s < CHUNK_STAGES; s++) {
          wait();
          if (s == 0 && chunk == 0) {
#pragma unroll
            for (int j = 0; j < 32; j++) {
              const float2 b = *(const float2*)(bias + WIDTH + 8 * j);
              x[4 * j] += b.x; x[4 * j + 1] += b.y;
              x[4 * j + 2] += b.x; x[4 * j + 3] += b.y;
            }
          }
          if (s == 0) {
#pragma unroll
            for (int j = 0; j < CHUNK / 8; j++) {
              const float2 b = *(const float2*)(bias + chunk * CHUNK + 8 * j);
              sums[4 * j] = b.x; sums[4 * j + 1] = b.y;
              sums[4 * j + 2] = b.x; sums[4 * j + 3] = b.y;
            }
          }
          products_fence();
#pragma unroll
          for (int k = 0; k < 8; k++) {
            const int part = 2 * s + (k >> 2), within = (k & 3) * 32;
            const u32 weight = stages + place.stage * STAGE_BYTES + (k >> 2) * (CHUNK * 128) + within;
            Half::first(sums, operand(inputs + part * PART_BYTES + within), operand(weight));
          }
          products_commit();
          if (s > 0) { products_wait<1>(); previous_is_read(); }
          next();
        }
        products_wait<0>();
        previous_is_read();
        u32 hidden[CHUNK / 4];
#pragma unroll
        for (int j = 0; j < CHUNK / 4; j++) hidden[j] = Half::relu_pair(sums[2 * j], sums[2 * j + 1]);
#pragma unroll
        for (int s = 0; s < CHUNK_STAGES; s++) {
          wait();
          products_fence();
#pragma unroll
          for (int k = 0; k < 4; k++)
            Half::second(x, hidden + 4 * (4 * s + k), operand(stages + place.stage * STAGE_BYTES + k * 32));
          products_commit();
          if (s > 0) { products_wait<1>(); previous_is_read(); }
          next();
        }
        products_wait<0>();
        previous_is_read();
      }
    }
#pragma unroll
    for (int j = 0; j < 32; j++) {
      *(float2*)(here + 8 * j) = make_float2(x[4 * j], x[4 * j + 1]);
      *(float2*)(here + 8 * WIDTH + 8 * j) = make_float2(x[4 * j + 2], x[4 * j + 3]);
    }
  }
}

template <class Half>
__device__ __forceinline__ void run(float* x, const u8* weights, const u8* biases, int n_blocks, int n_tiles) {
  extern __shared__ __align__(1024) u8 memory[];
  const u32 stages = shared_address(memory) + INPUT_BYTES, barriers = stages + N_STAGES * STAGE_BYTES;
  begin<N_STAGES>(barriers);
  const int group = threadIdx.x / 128;
  if (group == 0) {
    fewer_registers<PRODUCER_REGISTERS>();
    if (threadIdx.x == 0)
      produce<N_STAGES, STAGE_BYTES, BIAS_BYTES>(
          stages, barriers, barriers + BARRIER_BYTES, weights, biases, n_blocks, n_tiles);
    __syncwarp();
  } else if (group == 1) {
    more_registers<CONSUMER_REGISTERS>();
    consume<Half, 0>(x, memory, n_blocks, n_tiles);
  } else {
    more_registers<CONSUMER_REGISTERS>();
    consume<Half, 1>(x, memory, n_blocks, n_tiles);
  }
  cluster_sync();
}

// x: float32 (rays, 256), in place; rays must be a multiple of 256, or a cluster waits for ever.
// weights, biases: as `packing` lays them out.
extern "C" __global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(THREADS, 1)
hopper_half_blocks(float* x, const u8* weights, const u8* biases, int n_blocks, int n_tiles) {
  run<HALF>(x, weights, biases, n_blocks, n_tiles);  // HALF: Bf16 or Fp16, chosen when compiled
}
