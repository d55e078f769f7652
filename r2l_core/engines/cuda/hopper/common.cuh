// What both kernels share: barriers, multicast copies and warpgroup products of compute capability 9.0.
// A stage is a piece of weights in shared memory. Its two barriers lie next to each other: `full`, on
// which consumers wait, and `empty`, on which the producer does.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

constexpr int WIDTH = 256;             // channels of the network
constexpr int TILE_RAYS = 128;         // rays of a block: two consumer warpgroups of 64 rays each
constexpr int GROUP_RAYS = 64;
constexpr int THREADS = 384;           // one warpgroup copies weights, two multiply
constexpr int STAGES_A_BLOCK = 8;      // stages of weights in a residual block
constexpr int BARRIER_BYTES = 256;     // room for the barriers of all stages
constexpr int PRODUCER_REGISTERS = 40;
constexpr int CONSUMER_REGISTERS = 232;

__device__ __forceinline__ u32 shared_address(const void* pointer) {
  return (u32)__cvta_generic_to_shared(pointer);
}

// --- barriers ---------------------------------------------------------------------------------------

__device__ __forceinline__ u32 full_of(u32 barriers, u32 stage) { return barriers + 16 * stage; }
__device__ __forceinline__ u32 empty_of(u32 barriers, u32 stage) { return barriers + 16 * stage + 8; }

__device__ __forceinline__ void barrier_init(u32 barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void barrier_expect(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ void barrier_wait(u32 barrier, u32 parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "AGAIN_%=:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra AGAIN_%=;\n}" ::"r"(barrier), "r"(parity) : "memory");
}

// Arrive at the barrier at the same place in block `rank` of the cluster.
__device__ __forceinline__ void barrier_arrive(u32 barrier, u32 rank) {
  asm volatile(
      "{\n.reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n}" ::"r"(barrier), "r"(rank) : "memory");
}

__device__ __forceinline__ u32 cluster_rank() {
  u32 rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

__device__ __forceinline__ void cluster_sync() {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

// All threads of one consumer warpgroup.
__device__ __forceinline__ void group_sync(int group) {
  asm volatile("bar.sync %0, 128;" ::"r"(group + 1) : "memory");
}

// --- weights ----------------------------------------------------------------------------------------

// Copies to the same place in both blocks of the cluster, and tells the barriers there.
__device__ __forceinline__ void copy_to_both(u32 to, const u8* from, u32 bytes, u32 barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1], %2, [%3], %4;" ::"r"(to), "l"(from), "r"(bytes), "r"(barrier), "h"((u16)3) : "memory");
}

// Where a producer or a consumer is in the ring of stages.
template <int N_STAGES>
struct Place {
  u32 stage = 0, parity;
  __device__ __forceinline__ explicit Place(u32 first_parity) : parity(first_parity) {}
  __device__ __forceinline__ void advance() {
    if (++stage == N_STAGES) { stage = 0; parity ^= 1; }
  }
};

// One thread of each block of a cluster: each copies its half of every stage, and of each residual block's
// parameters, to both. Parameters have two places, used in turn.
template <int N_STAGES, int STAGE_BYTES, int PARAMETER_BYTES>
__device__ __forceinline__ void produce(
    u32 stages, u32 barriers, u32 parameters_here, const u8* weights, const u8* parameters, int n_blocks, int n_tiles) {
  const u32 rank = cluster_rank();
  Place<N_STAGES> place(1);
  u32 half = 0;
  for (int tile = blockIdx.x; tile < n_tiles; tile += gridDim.x) {
    const u8* weight = weights + rank * (STAGE_BYTES / 2);
    const u8* parameter = parameters + rank * (PARAMETER_BYTES / 2);
    for (int block = 0; block < n_blocks; block++)
      for (int i = 0; i < STAGES_A_BLOCK; i++) {
        const u32 full = full_of(barriers, place.stage);
        barrier_wait(empty_of(barriers, place.stage), place.parity);
        barrier_expect(full, STAGE_BYTES + (i == 0 ? PARAMETER_BYTES : 0));
        if (i == 0) {
          const u32 to = parameters_here + half * PARAMETER_BYTES + rank * (PARAMETER_BYTES / 2);
          copy_to_both(to, parameter, PARAMETER_BYTES / 2, full);
          parameter += PARAMETER_BYTES;
          half ^= 1;
        }
        const u32 to = stages + place.stage * STAGE_BYTES + rank * (STAGE_BYTES / 2);
        copy_to_both(to, weight, STAGE_BYTES / 2, full);
        weight += STAGE_BYTES;
        place.advance();
      }
  }
}

// Before anything else, by all threads.
template <int N_STAGES>
__device__ __forceinline__ void begin(u32 barriers) {
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < N_STAGES; stage++) {
      barrier_init(full_of(barriers, stage), 1);
      barrier_init(empty_of(barriers, stage), 4);  // two warpgroups of each of two blocks
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  cluster_sync();
}

// A warpgroup has read a stage: both producers may fill it again.
__device__ __forceinline__ void release(u32 barriers, u32 stage, int thread) {
  if (thread < 2) barrier_arrive(empty_of(barriers, stage), thread);
}

template <int COUNT>
__device__ __forceinline__ void more_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

template <int COUNT>
__device__ __forceinline__ void fewer_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

// --- products ---------------------------------------------------------------------------------------

__device__ __forceinline__ void products_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void products_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Until no more than LEFT groups of products are on their way.
template <int LEFT>
__device__ __forceinline__ void products_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}

// An operand in shared memory: rows of 128 bytes along the inputs, eight rows a swizzled atom.
__device__ __forceinline__ u64 operand(u32 address) {
  return (u64)((address & 0x3FFFF) >> 4) | ((u64)1 << 16) | ((u64)(1024 >> 4) << 32) | ((u64)1 << 62);
}
