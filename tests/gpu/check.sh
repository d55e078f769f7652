#!/bin/bash
# Everything that needs a GPU, in two calls that fit a short loan of a bare machine (docs/gpu.md):
#
#   bash tests/gpu/check.sh first     at most 300 s: Hopper's kernels, tests, speed, profiles, sanitizer
#   bash tests/gpu/check.sh second    at most 460 s: the window, training
#   bash tests/gpu/check.sh first tests bench     these steps only
#
# The most important step comes first, each has its own limit, and what one has found is in $OUT
# before the next begins. The last lines are a table of all. PYTHON names another python3.
set -u
part=${1:-}
case $part in first | second) ;; *) echo "usage: $0 first|second [STEP...]" >&2; exit 2 ;; esac
shift
only=" $* "
cd "$(dirname "$0")/../.." || exit 2
export OUT=${OUT:-$PWD/gpu-results}
mkdir -p "$OUT"
PYTHON=${PYTHON:-python3}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 R2L_REQUIRE_GPU=1
# One for all processes: tests change HOME, where it would be.
export TRITON_CACHE_DIR=${TRITON_CACHE_DIR:-/tmp/r2l-triton-cache}
export R2L_KERNEL_CACHE=${R2L_KERNEL_CACHE:-/tmp/r2l-kernel-cache}
mkdir -p "$R2L_KERNEL_CACHE"
log=$OUT/$part.log
steps=$OUT/$part.steps
: >"$log"
: >"$steps"

# step NAME SECONDS COMMAND...: runs it under its limit and notes how it went.
step() {
  local name=$1 limit=$(($2 * ${R2L_PATIENCE:-1})) began status
  case $only in "  " | *" $name "*) ;; *) return ;; esac
  shift 2
  began=$(date +%s%N)
  echo "=== $name" | tee -a "$log"
  timeout --kill-after=5 "$limit" "$@" 2>&1 | tee -a "$log" | tail -n 25
  status=${PIPESTATUS[0]}
  echo "$name $status $((($(date +%s%N) - began) / 1000000)) $limit" >>"$steps"
  "$PYTHON" tests/gpu/summary.py "$part" --quiet
}

first() {
  step machine 15 "$PYTHON" tests/gpu/machine.py
  step hopper 45 "$PYTHON" tests/gpu/hopper_kernels.py --json "$OUT/hopper.json" ${R2L_HOPPER:-}
  if grep -q "^hopper [^0]" "$steps"; then
    step diagnosis 40 "$PYTHON" tests/gpu/diagnose_hopper.py --out "$OUT"
  fi
  step tests 100 "$PYTHON" -m pytest -c tests/gpu/gpu.ini --rootdir=. -p no:cacheprovider -q \
    -n "${R2L_TEST_PROCESSES:-8}" --maxfail=40 --junitxml="$OUT/tests.xml" -m gpu ${R2L_TESTS:-} \
    tests/gpu tests/core/test_engines.py tests/core/test_int8_engines.py
  step bench 95 "$PYTHON" tests/gpu/bench_engines.py --json "$OUT/bench.json" ${R2L_BENCH:-}
  step profile 25 ncu --clock-control none --launch-count 12 --kernel-name 'regex:.*_blocks.*' \
    --section SpeedOfLight --section Occupancy --section WarpStateStats \
    --section MemoryWorkloadAnalysis --section ComputeWorkloadAnalysis \
    "$PYTHON" tests/gpu/run_kernels.py ${R2L_PROFILE:---rays 65536 --width 256 --depth 88}
  step sanitizer 20 compute-sanitizer --tool memcheck --error-exitcode 9 \
    "$PYTHON" tests/gpu/run_kernels.py ${R2L_SANITIZED:---rays 256 --width 256 --depth 6}
}

second() {
  if [ -f .carry/use.sh ]; then . .carry/use.sh; fi
  step machine 15 "$PYTHON" tests/gpu/machine.py
  step scene 10 "$PYTHON" tests/gpu/scene_800.py "$OUT/demo-800.json" ${R2L_SIDE:-}
  for precision in fp16 int8; do
    step "window-$precision" 50 env QT_QPA_PLATFORM=offscreen "$PYTHON" -m viewer "${R2L_CHECKPOINT:-demo}" \
      --scene "$OUT/demo-800.json" --device cuda --precision $precision --tour drag \
      --report "$OUT/window-$precision.json"
  done
  step speed 20 "$PYTHON" tests/gpu/training_speed.py --json "$OUT/training-speed.json" ${R2L_SPEED:-}
  step training 305 "$PYTHON" tests/gpu/train_demo.py --seconds "${R2L_TRAIN_SECONDS:-250}" \
    --out "$OUT/demo-gpu.safetensors" --json "$OUT/training.json" ${R2L_TRAIN:-}
}

$part
"$PYTHON" tests/gpu/summary.py "$part"
