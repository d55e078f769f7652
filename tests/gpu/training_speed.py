"""Speed of training steps by depth and batch, of drawing rays, and where a step's time goes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from r2l_core.engines.cuda.device import Device
from r2l_core.geometry.scene import SceneSpec, load_scene
from r2l_core.model.encoding import RayCoordinates
from r2l_core.training.distillation import DEFAULT_NETWORK
from r2l_core.training.growing import start_network
from r2l_core.training.sampling import RaySampler, SamplingConfig
from r2l_core.training.steps import Optimizers, TrainingSteps, training_device
from r2l_core.training.teachers import teacher_of

SHAPES = ("43x8192", "43x16384", "43x32768", "22x16384", "11x8192")
_WARM_UPS = 5


def seconds(run: Callable[[], object], times: int) -> float:
    """Of one run, with all that it has asked of the device."""
    began = time.perf_counter()
    for _ in range(times):
        run()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def stepping(scene: SceneSpec, device: Device, blocks: int, batch_rays: int) -> Callable[[], None]:
    """A captured step of a fresh network, on the same rays again and again."""
    place = device.torch_device
    network = start_network(DEFAULT_NETWORK, blocks).to(place)
    steps = TrainingSteps(
        network,
        Optimizers(network, muon_lr=0.02, adam_lr=1e-3, weight_decay=0.1),
        RayCoordinates(DEFAULT_NETWORK, scene, place),
        DEFAULT_NETWORK.n_frequencies,
        device,
    )
    batch = RaySampler(scene, teacher_of(scene), SamplingConfig(), 0, place).batch(batch_rays)
    for _ in range(_WARM_UPS):
        steps.step(batch)
    return lambda: steps.step(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="BLOCKSxRAYS")
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    scene, device = load_scene("demo"), training_device("cuda")
    assert device is not None
    report: dict[str, object] = {}
    with device.working():
        for number, shape in enumerate(options.shapes):
            blocks, rays = map(int, shape.split("x"))
            step = stepping(scene, device, blocks, rays)
            spent_s = seconds(step, options.times)
            report[shape] = {"ms": spent_s * 1e3, "mrays_per_s": rays / spent_s / 1e6}
            print(f"{shape}: {spent_s * 1e3:.2f} ms a step, {rays / spent_s / 1e6:.2f} Mray/s")
            # Only a real GPU can be looked into.
            if number == 0 and torch.cuda.is_initialized():
                with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as spent:
                    seconds(step, 3)
                table = spent.key_averages().table(
                    sort_by="cuda_time_total", row_limit=30, max_name_column_width=80
                )
                options.json.with_suffix(".txt").write_text(table, encoding="utf-8")
            options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
        sampler = RaySampler(scene, teacher_of(scene), SamplingConfig(), 0, device.torch_device)
        n_rays = 64 * max(int(shape.split("x")[1]) for shape in options.shapes)
        sampler.batch(n_rays)
        spent_s = seconds(lambda: sampler.batch(n_rays), 1)
        report["draw"] = {"rays": n_rays, "mrays_per_s": n_rays / spent_s / 1e6}
        print(f"drawing: {n_rays / spent_s / 1e6:.2f} Mray/s")
    options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
