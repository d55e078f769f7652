#!/bin/bash
# check.sh without a GPU: everything real but the device, at sizes an interpreter can do.
#   PYTHON=python3.12 bash tests/gpu/rehearse.sh first|second
set -u
cd "$(dirname "$0")/../.." || exit 2
export PYTHON=${PYTHON:-python3} OUT=${OUT:-$PWD/gpu-rehearsal} R2L_REHEARSAL=1
mkdir -p "$OUT"
export PYTHONPATH=$PWD/tests/gpu/rehearsal:$PWD${PYTHONPATH:+:$PYTHONPATH}
export PATH=$PWD/tests/gpu/rehearsal/bin:$PATH
export R2L_PATIENCE=${R2L_PATIENCE:-6} R2L_TEST_PROCESSES=${R2L_TEST_PROCESSES:-2}
export R2L_CHECKPOINT=$OUT/tiny.safetensors R2L_SIDE=32
"$PYTHON" tests/gpu/rehearsal/tiny_light_field.py "$R2L_CHECKPOINT" || exit 2
export R2L_BENCH="--checkpoint $R2L_CHECKPOINT --sides 16 24 --times 2"
export R2L_PROFILE="--rays 256 --width 256 --depth 4" R2L_SANITIZED="--rays 64 --width 64 --depth 4"
export R2L_HOPPER="--rays 512 --depth 6 --times 2"
export R2L_TRAIN="--width 64 --depth 6 --side 16 --views 2" R2L_TRAIN_SECONDS=18
export R2L_SPEED="--shapes 2x64"
# A processor's memory does not run out as a GPU's does, and its products round by the place in small
# tiles.
tests=tests/core/test_engines.py
export R2L_TESTS="--deselect tests/gpu/test_gpu_engine.py::test_memory_that_runs_out_is_one_error
  --deselect $tests::test_a_colour_does_not_depend_on_the_place_in_the_tile[cuda-fp32-cuda-181]
  --deselect $tests::test_a_colour_does_not_depend_on_the_place_in_the_tile[cuda-fp32-cuda-7]
  --deselect $tests::test_a_colour_does_not_depend_on_the_neighbours[cuda-fp32-cuda-181]"
exec bash tests/gpu/check.sh "$@"
