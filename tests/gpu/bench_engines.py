"""Speed of every precision and every way through the network on a GPU, end to end.

For each: the network alone (one tile of rays, by the device's clock), a tile with its copies, and
whole pictures from the camera to the host's 8 bits. For the fused kernels, the launch shapes to
choose among. What is measured is written at once, so that running out of time loses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from r2l_core.checkpoints.opening import load_light_field
from r2l_core.engines.choice import check_rays
from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.engines.cuda import triton_kernels
from r2l_core.engines.cuda.engine import CudaEngine, ways
from r2l_core.engines.cuda.fusion import TritonFusion
from r2l_core.engines.cuda.hopper.blocks import HopperFusion
from r2l_core.errors import EngineError
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision


@dataclass(frozen=True)
class Case:
    """One way through the network: "Hopper", "Triton" or "cuBLAS"; `chunk` and `stages` of Triton's
    kernel, or None for the default."""

    precision: Precision
    way: str
    chunk: int | None = None
    stages: int | None = None

    @property
    def name(self) -> str:
        shape = "" if self.chunk is None else f" {self.chunk}/{self.stages}"
        return f"{self.precision} {self.way}{shape}"


# The most important ones first.
CASES = [
    Case(Precision.FP32, "cuBLAS"),
    Case(Precision.FP16, "Hopper"),
    Case(Precision.INT8, "Hopper"),
    Case(Precision.BF16, "Hopper"),
    Case(Precision.FP16, "Triton"),
    Case(Precision.BF16, "Triton"),
    Case(Precision.INT8, "Triton"),
    Case(Precision.FP16, "cuBLAS"),
    Case(Precision.BF16, "cuBLAS"),
    Case(Precision.INT8, "cuBLAS"),
    Case(Precision.FP16, "Triton", 64, 3),
    Case(Precision.FP16, "Triton", 128, 1),
    Case(Precision.INT8, "Triton", 64, 3),
    Case(Precision.INT8, "Triton", 128, 2),
    Case(Precision.INT8, "Triton", 128, 3),
]


def build(light_field: LightField, case: Case) -> CudaEngine:
    device = cuda_engine.cuda_device()
    if case.way == "cuBLAS":
        return CudaEngine(light_field, case.precision, device, None)
    possible, why_not = ways(light_field, case.precision, device)
    kind = HopperFusion if case.way == "Hopper" else TritonFusion
    fusion = next((one for one in possible if isinstance(one, kind)), None)
    if fusion is None:
        why = why_not or "not for this network on this card"
        raise EngineError(f"{case.way} has no kernel", why)
    launch_shape = triton_kernels.launch_shape

    def chosen(dtype: torch.dtype, width: int) -> dict[str, int]:
        shape = launch_shape(dtype, width)
        return (
            shape if case.chunk is None else {**shape, "CHUNK": case.chunk, "STAGES": case.stages}
        )

    triton_kernels.launch_shape = chosen
    try:
        return CudaEngine(light_field, case.precision, device, fusion)
    finally:
        triton_kernels.launch_shape = launch_shape


def median_ms(run: Callable[[], object], times: int) -> tuple[float, float]:
    """Median and 95th percentile of wall time, after one run that does not count."""
    run()
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        spent.append((time.perf_counter() - began) * 1e3)
    return statistics.median(spent), sorted(spent)[int(0.95 * (len(spent) - 1))]


def measured(light_field: LightField, case: Case, sides_px: list[int], times: int) -> dict:
    began = time.perf_counter()
    engine = build(light_field, case)
    result = {"case": case.name, "kernel": engine.info.kernel}
    result["build_s"] = time.perf_counter() - began
    rays = check_rays(light_field, engine.tile_rays)
    network_ms = [engine.shade(*rays).network_ms for _ in range(times)]
    result["tile_rays"] = engine.tile_rays
    result["tile_network_ms"] = statistics.median(network_ms)
    result["tile_ms"], _ = median_ms(lambda: engine.shade(*rays), times)
    flops = light_field.network.flop_per_ray * engine.tile_rays
    result["tile_tflops"] = flops / result["tile_network_ms"] / 1e9
    scene = light_field.scene
    source = NetworkSource(engine, scene, light_field.ray_mode())
    result["pictures"] = {}
    for side_px in sides_px:
        camera = scene.home().camera(side_px, side_px, scene.focal_px(side_px))
        device_ms = []

        def picture(camera=camera, device_ms=device_ms) -> None:
            device_ms.append(source.whole_picture(camera).device_ms)

        wall_ms, p95_ms = median_ms(picture, times)
        result["pictures"][str(side_px)] = {
            "device_ms": statistics.median(device_ms),
            "ms_median": wall_ms,
            "ms_p95": p95_ms,
            "per_s": 1e3 / wall_ms,
        }
    camera = scene.home().camera(sides_px[0], sides_px[0], scene.focal_px(sides_px[0]))
    result["colors"] = source.whole_picture(camera).colors()
    return result


def warm() -> None:
    """Compile all kernels, as many at once as there are cores, each in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--compile"]

    def compiled(k: int) -> None:
        subprocess.run([*command, str(k)], stderr=subprocess.DEVNULL, check=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compiled, (k for k, case in enumerate(CASES) if case.way != "cuBLAS")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="demo")
    parser.add_argument("--sides", type=int, nargs="+", default=[400, 800], metavar="PX")
    parser.add_argument("--times", type=int, default=15)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--compile", type=int, help="compile one case's kernels, and no more")
    options = parser.parse_args()
    # Without a hash nothing is looked up of earlier choices.
    light_field = replace(load_light_field(options.checkpoint), sha256="")
    if options.compile is not None:
        build(light_field, CASES[options.compile])
        return
    began = time.perf_counter()
    warm()
    report = {"checkpoint": options.checkpoint, "compile_s": time.perf_counter() - began}
    report["runs"] = []
    exact = None
    for case in CASES:
        try:
            run = measured(light_field, case, options.sides, options.times)
        except EngineError as error:
            report["runs"].append({"case": case.name, "failed": str(error)})
            print(f"{case.name}: {error}")
        else:
            colors = run.pop("colors")
            exact = colors if exact is None else exact
            run["psnr_db_vs_fp32"] = psnr_db(float((colors - exact).square().mean()))
            if run["psnr_db_vs_fp32"] == float("inf"):
                run["psnr_db_vs_fp32"] = None
            report["runs"].append(run)
            side = str(options.sides[-1])
            print(
                f"{case.name:<20} tile {run['tile_network_ms']:.2f} ms, {side}x{side} "
                f"{run['pictures'][side]['ms_median']:.2f} ms, {run['psnr_db_vs_fp32']} dB"
            )
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
