"""Training of a light field: growing depth, Muon and Adam, by a schedule, resumable.

The published network is 88 layers deep; a shallow one learns faster per second. So training
starts shallow and doubles the depth by inserting residual blocks whose last layer is zero: the
network's function does not change at that moment.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from r2l_core.errors import CheckpointError
from r2l_core.files import replacing
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.encoding import RayCoordinates, encode
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig, R2LNetwork, ResidualBlock
from r2l_core.training.sampling import RayBatch, RaySampler
from r2l_core.training.schedule import GROWING, Schedule
from r2l_core.training.teachers import Teacher

DEFAULT_NETWORK = NetworkConfig(depth=88, width=256, n_sample=16, n_frequencies=6)
"""The demo's network: the released architecture with fewer octaves, which learn faster."""


_STALL = 0.05
"""A step at less than this share of the usual speed was interrupted."""


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
class Progress:
    """State of a run for a progress bar. share: of the whole run, 0 to 1."""

    share: float
    elapsed_s: float
    rays: int
    depth: int
    train_psnr_db: float
    krays_per_s: float


class Trainer:
    """One training run. Iterate `run()`; call `save()` any time between its steps."""

    def __init__(
        self,
        scene: SceneSpec,
        teacher: Teacher,
        network: NetworkConfig,
        config: TrainingConfig,
        state_path: Path,
    ) -> None:
        self.scene = scene
        self.config = config
        self.final_network = network
        self.state_path = state_path
        self.elapsed_s = 0.0
        self.rays = 0
        self._teacher = teacher
        self._sampler = self._new_sampler()
        self._coordinates = RayCoordinates(network, scene)
        torch.manual_seed(config.seed)
        self.network = _start_network(
            network, config.schedule.stages[0].blocks(0.0, network.n_blocks)
        )
        self._optimizers = self._build_optimizers(self.network)

    @property
    def progress(self) -> float:
        """Share of the training time, or of the schedule's rays, that is used up, 0 to 1."""
        if self.config.minutes is None:
            return min(1.0, self.rays / (self.config.schedule.mrays * 1e6))
        return min(1.0, self.elapsed_s / (self.config.minutes * 60.0))

    def run(self) -> Iterator[Progress]:
        """Train until the time or the rays are used up, yielding after every step; saves every
        minute."""
        last_save_s, smooth_mse, smooth_rate = self.elapsed_s, math.nan, math.nan
        while self.progress < 1.0:
            start = time.perf_counter()
            stage, x = self.config.schedule.at(self.progress)
            self._grow_to(stage.blocks(x, self.final_network.n_blocks))
            self._sampler.config = stage.sampling
            mse = self._step(self._sampler.batch(stage.batch_rays))
            if not math.isfinite(mse):
                raise FloatingPointError(f"the loss became {mse} after {self.rays} rays")
            seconds = time.perf_counter() - start
            self.rays += stage.batch_rays
            rate = stage.batch_rays / seconds / 1e3
            if not math.isnan(smooth_rate) and rate < _STALL * smooth_rate:
                # The machine slept or the process was stopped: that was no training time.
                seconds, rate = stage.batch_rays / smooth_rate / 1e3, smooth_rate
            self.elapsed_s += seconds
            smooth_mse = mse if math.isnan(smooth_mse) else 0.98 * smooth_mse + 0.02 * mse
            smooth_rate = rate if math.isnan(smooth_rate) else 0.9 * smooth_rate + 0.1 * rate
            if self.elapsed_s - last_save_s >= self.config.save_every_s:
                self.save()
                last_save_s = self.elapsed_s
            yield Progress(
                share=self.progress,
                elapsed_s=self.elapsed_s,
                rays=self.rays,
                depth=self.network.config.depth,
                train_psnr_db=-10.0 * math.log10(max(smooth_mse, 1e-12)),
                krays_per_s=smooth_rate,
            )
        self.save()

    def _step(self, batch: RayBatch) -> float:
        scale = self.config.schedule.rate(self.progress)
        for optimizer, peak in zip(
            self._optimizers, (self.config.muon_lr, self.config.adam_lr), strict=True
        ):
            for group in optimizer.param_groups:
                group["lr"] = peak * scale
            optimizer.zero_grad(set_to_none=True)
        features = self._features(batch.origins, batch.directions)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            predicted = self.network(features)
        loss = functional.mse_loss(predicted.float(), batch.colors)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            optimizer.step()
        return float(loss.detach())

    def _features(self, origins: Tensor, directions: Tensor) -> Tensor:
        return encode(self._coordinates(origins, directions), self.final_network.n_frequencies)

    def _grow_to(self, blocks: int) -> None:
        if blocks > self.network.config.n_blocks:
            self.network = grown(self.network, blocks)
            states = [dict(optimizer.state) for optimizer in self._optimizers]
            self._optimizers = self._build_optimizers(self.network)
            for optimizer, state in zip(self._optimizers, states, strict=True):
                optimizer.state.update(state)

    def _build_optimizers(self, network: R2LNetwork) -> list[torch.optim.Optimizer]:
        body = [p for p in network.body.parameters() if p.ndim == 2]
        matrices = {id(p) for p in body}
        rest = [p for p in network.parameters() if id(p) not in matrices]
        return [
            torch.optim.Muon(body, lr=self.config.muon_lr, weight_decay=self.config.weight_decay),
            torch.optim.Adam(rest, lr=self.config.adam_lr, betas=(0.9, 0.99)),
        ]

    def save(self) -> None:
        """Write everything needed to go on, whole or not at all, to `state_path`.

        Raises CheckpointError where it cannot be written.
        """
        state = {
            "scene": self.scene.to_json(),
            "network": self.final_network.to_dict(),
            "blocks": self.network.config.n_blocks,
            "elapsed_s": self.elapsed_s,
            "rays": self.rays,
            "weights": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
        }
        what = f"The training state {self.state_path} could not be written"
        remedy = "Name a place you can write to with --state."
        try:
            with replacing(self.state_path, CheckpointError, what, remedy) as new:
                torch.save(state, new)
        except RuntimeError as error:  # torch's own, where the disk is full
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(what, why, remedy) from error

    def resume(self) -> None:
        """Go on from `state_path`. Raises CheckpointError where that cannot be; the run then stays
        as it was."""
        what = f"The training state {self.state_path} cannot be resumed"
        try:
            state: dict[str, Any] = torch.load(self.state_path, weights_only=True)
            same = (
                SceneSpec.from_mapping(json.loads(state["scene"])) == self.scene
                and NetworkConfig.from_mapping(state["network"]) == self.final_network
            )
        except Exception as error:
            # torch reports foreign files and refused pickles through many kinds of exception.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise CheckpointError(
                what, f"it is not a state of this program ({reason})", "Start without --resume."
            ) from error
        if not same:
            raise CheckpointError(
                what,
                "it belongs to another scene or network",
                "Start without --resume, or give the same options as before.",
            )
        try:
            network = _start_network(self.final_network, int(state["blocks"]))
            network.load_state_dict(state["weights"])
            optimizers = self._build_optimizers(network)
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            elapsed_s, rays = float(state["elapsed_s"]), int(state["rays"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(what, "it is damaged", "Start without --resume.") from error
        self.network, self._optimizers = network, optimizers
        self.elapsed_s, self.rays = elapsed_s, rays
        self._sampler = self._new_sampler()

    def _new_sampler(self) -> RaySampler:
        # A resumed run draws other rays than the ones it has seen.
        seed = self.config.seed + self.rays
        sampling = self.config.schedule.stages[0].sampling
        return RaySampler(self.scene, self._teacher, sampling, seed)

    def light_field(self, name: str) -> LightField:
        """The network as it is now, with scene and provenance, ready to save or render."""
        return LightField(
            name=name,
            network=self.network.config,
            scene=self.scene,
            tensors={k: v.detach().clone() for k, v in self.network.state_dict().items()},
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
        }


def grown(network: R2LNetwork, blocks: int) -> R2LNetwork:
    """The same function with more residual blocks, spread evenly; old parameters are reused.

    New blocks end in a zero layer, so they pass their input through until trained.
    """
    old = list(network.body)
    config = replace(network.config, depth=2 * blocks + 2)
    result = R2LNetwork(config)
    result.head, result.tail = network.head, network.tail
    # Block k of the old network goes to the first slot of its share of the new one.
    places = {round(k * blocks / len(old)): block for k, block in enumerate(old)}
    body: list[nn.Module] = []
    for slot in range(blocks):
        fresh = result.body[slot]
        assert isinstance(fresh, ResidualBlock)
        _zero_last(fresh)
        body.append(places.get(slot, fresh))
    result.body = nn.Sequential(*body)
    return result


def _start_network(final: NetworkConfig, blocks: int) -> R2LNetwork:
    network = R2LNetwork(replace(final, depth=2 * blocks + 2))
    for block in network.body:
        assert isinstance(block, ResidualBlock)
        _zero_last(block)
    return network


def _zero_last(block: ResidualBlock) -> None:
    last = block.body[2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
