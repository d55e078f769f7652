// Runs one call of a level from a file, without Python: for machines that are emulated, sanitizers and valgrind.
// Writes how the level wants its weights, then reads a network as packing.py packs it, with rays (see
// test_fused_elsewhere.py), and writes colours.
// Compiled together with network.c (-DLEVEL=one).
#include "network.c"

#if defined(BARE)  // aarch64 without a C library, whose building would take minutes: system calls
static long call_system(long number, long a, const void *b, long c) {
  register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x2 __asm__("x2") = c;
  register const void *x1 __asm__("x1") = b;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
}
enum { READ = 63, WRITE = 64, EXIT = 93 };  // of aarch64
static char memory[256 << 20] __attribute__((aligned(64)));
static size_t used;
static void *aligned(size_t bytes) {
  void *p = memory + used;
  used += (bytes + 63) / 64 * 64;
  if (used > sizeof memory) call_system(EXIT, 3, 0, 0);
  return p;
}
static void input(void *to, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    long n = call_system(READ, 0, (char *)to + done, bytes - done);
    if (n <= 0) call_system(EXIT, 4, 0, 0);
    done += n;
  }
}
static void output(const void *from, size_t bytes) {
  for (size_t done = 0; done < bytes;) done += call_system(WRITE, 1, (const char *)from + done, bytes - done);
}
#else
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *aligned(size_t bytes) {
  void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!p) exit(3);
  memset(p, 0, bytes);
  return p;
}
static void input(void *to, size_t bytes) {
  if (bytes && fread(to, bytes, 1, stdin) != 1) exit(4);
}
static void output(const void *from, size_t bytes) {
  if (fwrite(from, bytes, 1, stdout) != 1) exit(5);
}
#endif

static void *array(void) {  // bytes (int64), then the array; none for 0
  int64_t bytes;
  input(&bytes, 8);
  if (!bytes) return NULL;
  void *p = aligned(bytes);
  input(p, bytes);
  return p;
}
static Layer read_layer(void) {
  Layer l;
  int32_t two[2];
  input(two, 8);
  l.kind = two[0];
  l.inputs = two[1];
  l.weights = array();
  l.bias = array();
  l.scale = array();
  l.start = array();
  l.modes = array();
  return l;
}

static void drive(void) {
  int32_t facts[7], head[8];
  layout_one(facts);
  output(facts, sizeof facts);
  input(head, sizeof head);
  Network net = {.width = head[0], .n_blocks = head[1], .n_sample = head[2], .n_coordinates = head[3],
                 .n_frequencies = head[4], .use_residual = head[5]};
  Call call = {.n = head[6], .tile = head[7]};
  net.depths = array();
  net.head = read_layer();
  net.turn = read_layer();
  net.tail_weight = array();
  net.tail_bias = array();
  Layer *layers = aligned(sizeof(Layer) * (2 * net.n_blocks + 1));
  for (int i = 0; i < 2 * net.n_blocks; i++) layers[i] = read_layer();
  net.layers = layers;
  call.origins = array();
  call.directions = array();
  call.colors = aligned(sizeof(float) * 3 * call.n);
  char *scratch = aligned(scratch_bytes_one(&net, call.tile));
  uint64_t spent[2];
  run_one(&net, &call, scratch, spent);
  output(call.colors, sizeof(float) * 3 * call.n);
}

// A picture carried along, where there is an argument: a Carry, then what its pointers and those of `match` point to.
// Writes the depths' misfits, and what is shown, also in bytes.
#if !defined(BARE)
static void drive_carry(void) {
  int32_t sizes[2], facts[7];
  layout_one(facts);
  output(facts, sizeof facts);
  input(sizes, sizeof sizes);  // new pixels, depths
  Carry *c = array();
  const size_t n = (size_t)c->width * c->height;
  const size_t cells = (size_t)((c->width + c->cell - 1) / c->cell) * ((c->height + c->cell - 1) / c->cell);
  c->last = array();
  c->inverse_depths = array();
  c->known = array();
  c->colors = array();
  const int64_t *pixels = array();
  const float *depths = array();
  c->picture = aligned(16 * n);
  c->shown = aligned(12 * n);
  c->bytes = aligned(3 * n);
  c->doubt = aligned(4 * n);
  float *misfits = aligned(4 * cells * sizes[1]), *counts = aligned(4 * cells);
  match_one(c, sizes[0], pixels, sizes[1], depths, misfits, counts);
  carry_one(c, aligned(carry_scratch_bytes_one()));
  output(misfits, 4 * cells * sizes[1]);
  output(c->shown, 12 * n);
  output(c->bytes, 3 * n);
}
#endif

#if defined(BARE)
void _start(void) {
  drive();
  call_system(EXIT, 0, 0, 0);
}
#else
int main(int n_arguments, char **arguments) {
  if (n_arguments > 1) drive_carry();
  else drive();
  return 0;
}
#endif
