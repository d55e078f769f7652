"""The kernel on instruction sets that this machine has not, and under tools that watch its memory.

A small C program (drive.c) takes the place of Python: it runs where Python does not.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines import choice
from r2l_core.engines.fused.build import SOURCE
from r2l_core.engines.fused.engine import weights_of
from r2l_core.engines.fused.packing import PackedNetwork
from r2l_core.geometry.scene import SceneSpec
from r2l_core.images.metrics import mse, psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.quantization.folding import folded
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import colors_of, features_of, walk
from r2l_core.render.carrying import Shown, carried_along
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision

QEMU = shutil.which("qemu-aarch64")
CLANG = shutil.which("clang")
VALGRIND = shutil.which("valgrind")
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-DLEVEL=one", f"-I{SOURCE}"]
DRIVE = str(Path(__file__).parent / "drive.c")

needs_qemu = pytest.mark.skipif(QEMU is None, reason="needs qemu-aarch64 (Debian: qemu-user)")
needs_clang = pytest.mark.skipif(CLANG is None, reason="needs clang with its sanitizers")
needs_valgrind = pytest.mark.skipif(VALGRIND is None, reason="needs valgrind")
needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 processor")


class Program:
    """drive.c, compiled for one level, and how to run it."""

    def __init__(self, compiler: list[str], path: Path, runner: list[str]) -> None:
        subprocess.run([*compiler, *FLAGS, "-o", str(path), DRIVE], check=True)
        self._command = [*runner, str(path)]
        # Without a network it stops after it has said how it wants one.
        said = subprocess.run(self._command, input=b"", capture_output=True, check=False).stdout
        panel, grain, dot4, offset, bf16, amx, tile = np.frombuffer(said, np.int32)
        # What PackedNetwork wants to know of a level.
        self._level: Any = SimpleNamespace(
            panel=panel,
            dot_panel=16 if amx else panel,
            grain=grain,
            dot4=dot4,
            byte_offset=offset,
            bf16=bf16,
            amx=amx,
            tile=tile,
        )
        self._facts = said

    def colors(
        self,
        light_field: LightField,
        precision: Precision,
        rays: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        """Colours of rays, float32 (n, 3) each, in tiles of 24."""
        weights = weights_of(light_field, folded(light_field, precision))
        packed = PackedNetwork(weights, precision, self._level)
        done = subprocess.run(
            self._command,
            input=_written(packed, rays),
            capture_output=True,
            check=False,
            # The program leaves its memory to the system when it ends.
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
        )
        assert done.returncode == 0, done.stderr.decode()
        colors = np.frombuffer(done.stdout[len(self._facts) :], np.float32).reshape(-1, 3)
        return torch.from_numpy(colors.copy())

    def check_carrying(self, scene: SceneSpec, width_px: int, height_px: int) -> None:
        """A picture of noise, carried into one of other noise: as the library does it here."""
        cameras = [
            replace(scene.home(), azimuth_deg=azimuth_deg).camera(width_px, height_px, 40.0)
            for azimuth_deg in (0.0, 15.0)
        ]
        source = NetworkSource(_Nothing(), scene, "plain", True)
        noise = torch.Generator().manual_seed(1)
        colors = torch.rand(height_px, width_px, 3, generator=noise)
        known = torch.zeros(height_px, width_px, dtype=torch.bool)
        known[::4, ::4] = True
        last = Shown(source, cameras[0], torch.rand(colors.shape, generator=noise), known)
        carried = carried_along(last, source, cameras[1])
        assert carried is not None
        expected = carried.blended(colors, known, 4)
        pixels, job = known.view(-1).nonzero(), carried._job
        job.next = 0
        parts = [
            np.frombuffer(job, np.uint8),
            carried._last.numpy(),
            carried._cells.numpy(),
            known.numpy(),
            colors.numpy(),
            pixels.numpy(),
            carried._depths.numpy(),
        ]
        data = [np.int64(part.nbytes).tobytes() + part.tobytes() for part in parts]
        sizes = np.array([len(pixels), len(carried._depths)], np.int32).tobytes()
        done = subprocess.run(
            [*self._command, "carry"],
            input=sizes + b"".join(data),
            capture_output=True,
            check=False,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
        )
        assert done.returncode == 0, done.stderr.decode()
        n = 3 * width_px * height_px
        shown = np.frombuffer(done.stdout[-5 * n : -n], np.float32)
        assert np.allclose(shown, expected.colors.view(-1).numpy(), atol=1e-4)
        levels = np.frombuffer(done.stdout[-n:], np.uint8).astype(int)
        assert np.abs(levels - expected.image.reshape(-1)).max() <= 1


class _Nothing:
    """An engine that nobody asks."""

    tile_rays, small_tiles, any_rays, info = 1, (), True, None


def _written(packed: PackedNetwork, rays: tuple[torch.Tensor, torch.Tensor]) -> bytes:
    """What drive.c reads: every pointer followed to its array."""
    arrays = {array.ctypes.data: array for array in packed._kept}
    net = packed.structure

    def array(address: int | None) -> bytes:
        data = b"" if not address else arrays[address].tobytes()
        return np.int64(len(data)).tobytes() + data

    def layer(one: Any) -> bytes:
        parts = (one.weights, one.bias, one.scale, one.start, one.modes)
        return np.array([one.kind, one.inputs], np.int32).tobytes() + b"".join(map(array, parts))

    ends = [x.contiguous().numpy().tobytes() for x in rays]
    return b"".join(
        [
            np.array(
                [
                    *(net.width, net.n_blocks, net.n_sample, net.n_coordinates),
                    *(net.n_frequencies, net.use_residual, len(rays[0]), 24),
                ],
                np.int32,
            ).tobytes(),
            array(net.depths),
            layer(net.head),
            layer(net.turn),
            array(net.tail_weight),
            array(net.tail_bias),
            *(layer(packed._layers[i]) for i in range(2 * net.n_blocks)),
            *(np.int64(len(end)).tobytes() + end for end in ends),
        ]
    )


def expected_colors(light_field, precision, rays) -> torch.Tensor:
    with torch.inference_mode():
        features = features_of(light_field, *rays)
        return colors_of(walk(light_field.network, layers_in(light_field, precision), features))


def agreement_db(one: torch.Tensor, other: torch.Tensor) -> float:
    return psnr_db(mse(one.numpy(), other.numpy()))


ZIG = [sys.executable, "-m", "ziglang", "cc"]


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("cpu", ["generic", "generic+dotprod", "generic+dotprod+bf16"])
def test_the_demo_on_arm(tmp_path, cpu):
    bare = ["-DBARE", "-ffreestanding", "-nostdlib", "-static"]
    compiler = [*ZIG, "-target", "aarch64-linux-none", f"-mcpu={cpu}", *bare]
    program = Program(compiler, tmp_path / "drive", [str(QEMU), "-cpu", "max"])
    demo = load_light_field("demo")
    rays = choice.check_rays(demo, 50)
    for precision, least_db in ((Precision.FP32, 90), (Precision.INT8, 60), (Precision.BF16, 45)):
        colors = program.colors(demo, precision, rays)
        assert agreement_db(colors, expected_colors(demo, precision, rays)) >= least_db


NETWORKS = (
    {"width": 64},
    {"width": 181, "n_frequencies": 0, "use_residual": False},
    {"plucker": True, "depth": 2},
)


def odd_sizes(program: Program, make_light_field, scene_rays) -> None:
    """Networks and numbers of rays that fill nothing evenly, in every precision."""
    for network in NETWORKS:
        light_field = make_light_field(**network)
        for n_rays in (1, 25):
            rays = scene_rays(n_rays)
            for precision in (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8):
                colors = program.colors(light_field, precision, rays)
                expected = expected_colors(light_field, precision, rays)
                assert agreement_db(colors, expected) > 38
    for width_px, height_px in ((1, 1), (33, 31), (70, 5)):
        program.check_carrying(light_field.scene, width_px, height_px)


@pytest.mark.slow
@needs_clang
@needs_x86
def test_sanitizers_find_nothing(tmp_path, make_light_field, scene_rays):
    sanitizers = "-fsanitize=address,undefined"
    compiler = [str(CLANG), "-march=x86-64-v3", sanitizers, "-fno-sanitize-recover=all", "-g"]
    program = Program(compiler, tmp_path / "drive", [])
    odd_sizes(program, make_light_field, scene_rays)


@pytest.mark.slow
@needs_valgrind
@needs_clang
@needs_x86
def test_valgrind_finds_nothing(tmp_path, make_light_field, scene_rays):
    compiler = [str(CLANG), "-march=x86-64-v3", "-g"]
    watched = [str(VALGRIND), "--quiet", "--error-exitcode=9", "--leak-check=no"]
    odd_sizes(Program(compiler, tmp_path / "drive", watched), make_light_field, scene_rays)
