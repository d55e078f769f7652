"""Training of a light field: growing depth, Muon and Adam, by a schedule, resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from r2l_core.engines.cuda.device import Device
from r2l_core.errors import R2LError
from r2l_core.geometry.scene import SceneSpec
from r2l_core.json_fields import parse_json
from r2l_core.model.encoding import RayCoordinates
from r2l_core.model.light_field import LightField
from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig
from r2l_core.training.arithmetic import DTYPES
from r2l_core.training.growing import grown, start_network
from r2l_core.training.runs import Speed, Stopwatch, loaded_state, save_state
from r2l_core.training.sampling import DrawnAhead, RaySampler, RaySource
from r2l_core.training.schedule import GROWING, Schedule, Stage
from r2l_core.training.steps import Optimizers, TrainingSteps
from r2l_core.training.teachers import Teacher

DEFAULT_NETWORK = NetworkConfig(depth=88, width=256, n_sample=16, n_frequencies=6)
"""The demo's network: the released architecture with fewer octaves, which learn faster."""

_STEPS_AT_ONCE = 50
"""Steps between two looks at the loss of a GPU, which it has to be waited for."""
_RAYS_AT_ONCE = 2**20
"""Rays a GPU draws at a time."""


@dataclass(frozen=True)
class TrainingConfig:
    """minutes: training time in all, resumed parts included, over which the schedule is stretched;
    None trains the schedule's own rays, however long that takes. muon_lr, adam_lr: peak rates,
    which the schedule scales."""

    minutes: float | None = 45.0
    schedule: Schedule = GROWING
    muon_lr: float = 0.02
    adam_lr: float = 1e-3
    weight_decay: float = 0.1
    save_every_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class DistillProgress:
    """State of a run for a progress bar. share: of the whole run, 0 to 1. arithmetic: of DTYPES."""

    share: float
    elapsed_s: float
    rays: int
    depth: int
    train_psnr_db: float
    krays_per_s: float
    arithmetic: str

    def words(self) -> str:
        """For a progress bar."""
        return (
            f"D{self.depth} {self.train_psnr_db:.2f} dB {self.krays_per_s:.1f} kray/s "
            f"{self.arithmetic} {self.rays / 1e6:.1f} Mray"
        )


class Trainer:
    """One training run. Iterate `run()`; call `save()` any time between its steps.

    device: the GPU to train on, with the teacher, or None for the processor. Both run the same
    steps, and a state of one can be resumed on the other. new_rays: makes from a seed what draws
    the rays, instead of a RaySampler of the scene. photographs: the `views_digest` of those that it
    learns from as well; empty without. arithmetic: the numbers it learns in, a name of DTYPES; a
    state may be resumed in others.
    """

    def __init__(
        self,
        scene: SceneSpec,
        teacher: Teacher,
        network: NetworkConfig,
        config: TrainingConfig,
        state_path: Path,
        device: Device | None = None,
        new_rays: Callable[[int], RaySource] | None = None,
        photographs: str = "",
        arithmetic: str = "bf16",
    ) -> None:
        self._device = device
        self._arithmetic = arithmetic
        self._place = torch.device("cpu") if device is None else device.torch_device
        self.scene = scene
        self.config = config
        self.final_network = network
        self.state_path = state_path
        self.elapsed_s = 0.0
        self.rays = 0
        self._teacher = teacher
        self._new_rays = new_rays
        self._photographs = photographs
        with self._working():
            self._sampler = self._new_sampler()
            self._coordinates = RayCoordinates(network, scene, self._place)
            torch.manual_seed(config.seed)
            blocks = config.schedule.stages[0].blocks(0.0, network.n_blocks)
            self.network = start_network(network, blocks).to(self._place)
            self._optimizers = self._new_optimizers(self.network)
            self._steps = self._new_steps(self.network, self._optimizers)

    def _working(self) -> AbstractContextManager[object]:
        """Around all that a GPU does: in one queue, everything is there before it is used."""
        return nullcontext() if self._device is None else self._device.working()

    @property
    def progress(self) -> float:
        """Share of the training time, or of the schedule's rays, that is used up, 0 to 1."""
        if self.config.minutes is None:
            return min(1.0, self.rays / (self.config.schedule.mrays * 1e6))
        return min(1.0, self.elapsed_s / (self.config.minutes * 60.0))

    def run(self) -> Iterator[DistillProgress]:
        """Train until the time or the rays are used up, yielding after every step, on a GPU after
        some; saves every minute."""
        last_save_s, smooth_mse, speed = self.elapsed_s, math.nan, Speed()
        while self.progress < 1.0:
            stage, x = self.config.schedule.at(self.progress)
            self._sampler.config = stage.sampling
            with self._working():
                self._sampler.prepare(stage.batch_rays)  # is no training, so the clock starts after
            watch = Stopwatch(time.perf_counter, time.process_time)
            rays, mse = self._train(stage, x)
            if not math.isfinite(mse):
                raise R2LError(
                    f"The light field cannot be learned from {self.scene.name}",
                    f"its error became {mse} after {self.rays} rays",
                    "Go on with --resume from what was saved last, or start with lower rates.",
                )
            self.rays += rays
            self.elapsed_s += speed.seconds(rays, watch.taken())
            smooth_mse = mse if math.isnan(smooth_mse) else 0.98 * smooth_mse + 0.02 * mse
            if self.elapsed_s - last_save_s >= self.config.save_every_s:
                self.save()
                last_save_s = self.elapsed_s
            yield DistillProgress(
                share=self.progress,
                elapsed_s=self.elapsed_s,
                rays=self.rays,
                depth=self.network.config.depth,
                train_psnr_db=-10.0 * math.log10(max(smooth_mse, 1e-12)),
                krays_per_s=speed.rays_per_s / 1e3,
                arithmetic=self._arithmetic,
            )
        self.save()

    def _train(self, stage: Stage, x: float) -> tuple[int, float]:
        """One step, or some on a GPU, at a share of a stage: rays learned from, mean loss."""
        with self._working():
            self._grow_to(stage.blocks(x, self.final_network.n_blocks))
            self._optimizers.set_rate(self.config.schedule.rate(self.progress))
            n_steps = self._steps_at_once(stage)
            for _ in range(n_steps):
                self._steps.step(self._sampler.batch(stage.batch_rays))
            return n_steps * stage.batch_rays, self._steps.mean_loss()

    def _steps_at_once(self, stage: Stage) -> int:
        """Never more than a hundredth of the run."""
        if self._device is None:
            return 1
        if self.config.minutes is None:
            hundredth = self.config.schedule.mrays * 1e4 / stage.batch_rays
            return max(1, min(_STEPS_AT_ONCE, round(hundredth)))
        return _STEPS_AT_ONCE

    def _grow_to(self, blocks: int) -> None:
        if blocks > self.network.config.n_blocks:
            network = grown(self.network, blocks)
            optimizers = self._new_optimizers(network)
            optimizers.take_over(self._optimizers)
            steps = self._new_steps(network, optimizers)
            # Last, and without a call in between: who is stopped here saves what belongs together.
            self.network, self._optimizers, self._steps = network, optimizers, steps

    def _new_optimizers(self, network: R2LNetwork) -> Optimizers:
        config, dtype = self.config, DTYPES[self._arithmetic]
        return Optimizers(network, config.muon_lr, config.adam_lr, config.weight_decay, dtype)

    def _new_steps(self, network: R2LNetwork, optimizers: Optimizers) -> TrainingSteps:
        return TrainingSteps(
            network,
            optimizers,
            self._coordinates,
            self.final_network.n_frequencies,
            self._device,
            DTYPES[self._arithmetic],
        )

    def save(self) -> None:
        """Write everything needed to go on, whole or not at all, to `state_path`.

        Raises CheckpointError where it cannot be written.
        """
        state = {
            "scene": self.scene.to_json(),
            "network": self.final_network.to_dict(),
            "photographs": self._photographs,
            "blocks": self.network.config.n_blocks,
            "elapsed_s": self.elapsed_s,
            "rays": self.rays,
            "weights": self.network.state_dict(),
            "optimizers": self._optimizers.state(),
        }
        save_state(self.state_path, state)

    def resume(self) -> None:
        """Go on from `state_path`. Raises CheckpointError where that cannot be; the run then stays
        as it was."""
        belongs, other = self._belongs, "scene, network or set of photographs"
        with (
            self._working(),
            loaded_state(self.state_path, self._place, belongs, other) as state,
        ):
            network = start_network(self.final_network, int(state["blocks"])).to(self._place)
            network.load_state_dict(state["weights"])
            optimizers = self._new_optimizers(network)
            optimizers.load_state(state["optimizers"])
            elapsed_s, rays = float(state["elapsed_s"]), int(state["rays"])
        self.network, self._optimizers = network, optimizers
        self.elapsed_s, self.rays = elapsed_s, rays
        with self._working():
            self._steps = self._new_steps(network, optimizers)
            self._sampler = self._new_sampler()

    def _belongs(self, state: Mapping[str, Any]) -> bool:
        return (
            SceneSpec.from_mapping(parse_json(state["scene"])) == self.scene
            and NetworkConfig.from_mapping(state["network"]) == self.final_network
            # Which older states do not name.
            and state.get("photographs", self._photographs) == self._photographs
        )

    def _new_sampler(self) -> RaySource:
        # A resumed run draws other rays than the ones it has seen.
        seed = self.config.seed + self.rays
        if self._new_rays is not None:
            source = self._new_rays(seed)
        else:
            sampling = self.config.schedule.stages[0].sampling
            source = RaySampler(self.scene, self._teacher, sampling, seed, self._place)
        return source if self._device is None else DrawnAhead(source, _RAYS_AT_ONCE, seed)

    def light_field(self, name: str) -> LightField:
        """The network as it is now, with scene and provenance, ready to save or render."""
        return LightField(
            name=name,
            network=self.network.config,
            scene=self.scene,
            tensors={
                k: v.detach().to("cpu", copy=True) for k, v in self.network.state_dict().items()
            },
            provenance=self._provenance(),
        )

    def _provenance(self) -> dict[str, Any]:
        return {
            "method": "distilled from the analytic teacher, pixel-footprint targets",
            "teacher": self.scene.teacher,
            "rays": self.rays,
            "training_s": round(self.elapsed_s, 1),
            "config": asdict(self.config),
            "torch": torch.__version__,
            "device": "cpu" if self._device is None else self._device.name,
            "arithmetic": self._arithmetic,
        }
