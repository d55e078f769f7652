// Which levels of network.c this processor and its system can run, as bits in the order of library.py.
// Compiled for the plainest processor of its architecture.
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
// All that a library without a C library needs here.
int DllMainCRTStartup(void *library, unsigned reason, void *reserved) { return 1; }
int _fltused = 1;
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#if defined(__x86_64__)
static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
  __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(subleaf));
}
static int has(uint32_t word, int bit) { return word >> bit & 1; }

// Linux lets a process use the matrix unit's 8 KB of registers once it has asked (arch_prctl).
static int matrix_unit_granted(void) {
#if defined(__linux__)
  enum { ARCH_PRCTL = 158, ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)ARCH_PRCTL), "D"((long)ARCH_REQ_XCOMP_PERM), "S"((long)TILE_DATA)
                   : "rcx", "r11", "memory");
  return result == 0;
#else
  return 0;
#endif
}

EXPORT uint32_t supported_levels(void) {
  uint32_t leaf0[4], leaf1[4], leaf7[4], leaf71[4] = {0}, low, high;
  cpuid(0, 0, leaf0);
  if (leaf0[0] < 7) return 0;
  cpuid(1, 0, leaf1);
  if (!has(leaf1[2], 27)) return 0;  // the system saves no vector registers
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  cpuid(7, 0, leaf7);
  if (leaf7[0] >= 1) cpuid(7, 1, leaf71);
  // FMA, AVX and F16C of leaf 1; AVX2, BMI1 and BMI2 of leaf 7; POPCNT, MOVBE and LZCNT come with them.
  int avx2 = (low & 6) == 6 && has(leaf1[2], 12) && has(leaf1[2], 28) && has(leaf1[2], 29) && has(leaf7[1], 5) &&
             has(leaf7[1], 3) && has(leaf7[1], 8);
  // The parts that all AVX-512 processors since Skylake have: F, DQ, CD, BW, VL.
  int avx512 = avx2 && (low & 0xE6) == 0xE6 && has(leaf7[1], 16) && has(leaf7[1], 17) && has(leaf7[1], 28) &&
               has(leaf7[1], 30) && has(leaf7[1], 31);
  int avxvnni = avx2 && has(leaf71[0], 4);
  int avx512vnni = avx512 && has(leaf7[2], 11);
  int avx512bf16 = avx512vnni && has(leaf71[0], 5);
  // With it comes VBMI.
  int amx = avx512bf16 && (low & 0x60000) == 0x60000 && has(leaf7[2], 1) && has(leaf7[3], 22) && has(leaf7[3], 24) && has(leaf7[3], 25) &&
            matrix_unit_granted();
  return avx2 | avxvnni << 1 | avx512 << 2 | avx512vnni << 3 | avx512bf16 << 4 | amx << 5;
}
#else
// User programs cannot ask an ARM processor itself; library.py asks the system.
EXPORT uint32_t supported_levels(void) { return 0; }
#endif
