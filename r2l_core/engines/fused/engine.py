"""The fused engine: the whole network for a tile of rays in cache, in our own native code.

Rays go in and colours come out of one C function, compiled for every instruction set that helps
(docs/cpu.md). A colour depends on its ray alone, bit for bit, so that calls may have any number of
rays.
"""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.engines.base import Shaded, require_finite
from r2l_core.engines.fused.kernel import FusedKernel, emulated
from r2l_core.engines.fused.library import Level, LibraryBroken, level_for
from r2l_core.engines.fused.packing import IntegerLayer, Weights, why_not
from r2l_core.engines.processor import this_processor
from r2l_core.errors import EngineError, EngineUnavailable
from r2l_core.geometry.rays import sample_depths
from r2l_core.images.metrics import psnr_db
from r2l_core.model.light_field import LightField
from r2l_core.quantization.folding import FoldedNetwork, folded
from r2l_core.quantization.simulation import layers_in
from r2l_core.quantization.walk import colors_of, features_of, walk
from r2l_core.torch_threads import one_torch_thread
from r2l_core.types import Availability, Precision

PRECISIONS = (Precision.FP32, Precision.BF16, Precision.FP16, Precision.INT8)

_CHECK_RAYS = 13
_CHECK_FLOOR_DB = {Precision.FP32: 80.0, Precision.BF16: 35.0, Precision.FP16: 45.0}
_CHECK_FLOOR_INT8_DB = 40.0


class FusedEngine:
    """fp32, bf16, fp16 or int8 of one light field. See Engine for the contract.

    Calls from several threads wait for each other. `n_threads`: torch's number by default.
    """

    any_rays = True
    small_tiles: tuple[int, ...] = ()
    quiet_torch = True

    def __init__(
        self,
        light_field: LightField,
        precision: Precision,
        level: Level,
        n_threads: int | None = None,
    ) -> None:
        threads = torch.get_num_threads() if n_threads is None else n_threads
        # Hundreds of small steps: a second thread would only wait for the first.
        with one_torch_thread():
            weights = weights_of(light_field, folded(light_field, precision))
        self._kernel = FusedKernel(weights, precision, level, threads)
        self.tile_rays = self._kernel.call_rays
        self.info = self._kernel.info
        self._precision = precision

    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade; any number of rays. Raises EngineError where `cancel` ended it or
        activations exceed float16."""
        rays = [_checked(x) for x in (origins, directions)]
        if len(rays[1]) != len(rays[0]):
            raise ValueError(f"{len(rays[0])} origins do not go with {len(rays[1])} directions")
        colors = torch.empty(len(rays[0]), 3)
        spell = self._kernel.shade(rays[0].numpy(), rays[1].numpy(), colors.numpy())
        if self._precision is Precision.FP16:
            require_finite(bool(colors.isfinite().all()), "fused", self._precision)
        return Shaded(colors, spell.encode_ms, spell.network_ms)

    def cancel(self) -> None:
        """End the call that another thread waits for, within a fraction of a tile."""
        self._kernel.cancel()


def weights_of(light_field: LightField, numbers: FoldedNetwork) -> Weights:
    """A light field as the kernel takes it."""
    network = light_field.network
    return Weights(
        network,
        {name: tensor.numpy() for name, tensor in numbers.tensors.items()},
        sample_depths(light_field.scene, network.n_sample).numpy(),
        {
            name: IntegerLayer(one.weight.values.numpy(), one.weight.scale[:, 0].numpy())
            for name, one in numbers.integers.items()
        },
        {name: bias.numpy() for name, bias in numbers.biases.items()},
        None if numbers.turn is None else numbers.turn.numpy(),
    )


def _checked(rays: Tensor) -> Tensor:
    """Contiguous float32 (n, 3) in this machine's memory, for code that trusts what it gets."""
    if rays.dim() != 2 or rays.shape[1] != 3:
        raise ValueError(f"rays are (n, 3), not {tuple(rays.shape)}")
    if rays.dtype is not torch.float32 or rays.device.type != "cpu":
        raise ValueError(f"rays are float32 on the CPU, not {rays.dtype} on {rays.device}")
    return rays.contiguous()


class FusedFactory:
    """Says what the fused engine can do on this processor, and builds it."""

    def available(self, precision: Precision, device: str) -> Availability:
        """fp32, int8 and emulated 16 bits on every processor with AVX2 or NEON."""
        if device != "cpu":
            return Availability(False, "the fused engine runs on the CPU")
        if precision not in PRECISIONS:
            return Availability(False, "the fused engine runs fp32, bf16, fp16 and int8")
        try:
            level = level_for(this_processor())
        except EngineUnavailable as error:
            why_not = f"{error.what[0].lower()}{error.what[1:]}: {error.why}"
            return Availability(False, why_not, broken=isinstance(error, LibraryBroken))
        return Availability(True, emulated=emulated(precision, level) is not None)

    def build(self, light_field: LightField, precision: Precision, device: str) -> FusedEngine:
        """See EngineFactory.build. Checked on rays of the light field before it is handed out."""
        if reason := why_not(light_field.network):
            raise EngineUnavailable(
                "The fused engine cannot run this network", reason, "Choose another engine."
            )
        engine = FusedEngine(light_field, precision, level_for(this_processor()))
        _check(engine, light_field, precision)
        return engine


def _check(engine: FusedEngine, light_field: LightField, precision: Precision) -> None:
    """Raise EngineError where it disagrees with the readable computation in the same precision."""
    from r2l_core.engines.choice import check_rays

    origins, directions = check_rays(light_field, _CHECK_RAYS)
    colors = engine.shade(origins, directions).colors
    with torch.inference_mode(), one_torch_thread():
        features = features_of(light_field, origins, directions)
        expected = colors_of(walk(light_field.network, layers_in(light_field, precision), features))
    agreement_db = psnr_db(float((colors - expected).square().mean()))
    floor_db = _CHECK_FLOOR_DB.get(precision, _CHECK_FLOOR_INT8_DB)
    if not agreement_db >= floor_db:
        raise EngineError(
            f"The fused engine was refused for {precision}",
            f"its colours are only {agreement_db:.1f} dB from the same computation in torch, "
            f"{floor_db:g} needed",
            "Choose another engine or precision.",
        )
