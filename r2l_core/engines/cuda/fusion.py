"""Residual blocks in one kernel: what every way to fuse them offers, and the way through Triton."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

RAYS_PER_PROGRAM = 64
"""Of Triton's kernels."""

TRITON_WIDTHS = (64, 128, 256)
"""Widths of Triton's kernels; narrower networks are padded with zero channels, which stay zero."""


class Blocks(Protocol):
    """Consecutive residual blocks."""

    @property
    def n_blocks(self) -> int:
        """How many."""

    def __call__(self, x: Tensor) -> None:
        """Run them in place. x: float32 (rays, width), contiguous."""


class Fusion(Protocol):
    """A way to run residual blocks in one kernel."""

    @property
    def name(self) -> str:
        """What a person calls what the kernel is made by."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels that there are kernels for, ascending; see TRITON_WIDTHS."""

    @property
    def rays_multiple(self) -> int:
        """Calls have a multiple of so many rays."""

    @property
    def triton_ends(self) -> bool:
        """Whether the first and last layer, too, run in kernels of their own (`triton_ends`)."""

    def blocks(self, weights: Tensor, biases: Tensor, scales: Tensor | None) -> Blocks:
        """A kernel with its weights. Raises errors of any kind where it cannot be built.

        weights: (2 * n_blocks, width, width), out by in, float16, bfloat16 or int8. biases: float32
        (2 * n_blocks, width). scales: float32 like biases, of a row of an int8 weight each.
        """


@dataclass(frozen=True, eq=False)
class TritonBlocks:
    """See Blocks. weights, biases, scales: see Fusion.blocks."""

    weights: Tensor
    biases: Tensor
    scales: Tensor | None
    launch: Mapping[str, int]

    @property
    def n_blocks(self) -> int:
        """See Blocks.n_blocks."""
        return len(self.weights) // 2

    def __call__(self, x: Tensor, rays_per_program: int = RAYS_PER_PROGRAM) -> None:
        """See Blocks; rays must be a multiple of `rays_per_program`, a power of two from 16."""
        from r2l_core.engines.cuda.triton_kernels import float_blocks, int8_blocks

        width = self.biases.shape[1]
        if x.shape[1] != width or x.shape[0] % rays_per_program or not x.is_contiguous():
            raise ValueError(f"{tuple(x.shape)} is not made of tiles of {rays_per_program} rays")
        grid = (x.shape[0] // rays_per_program,)
        shape = {"WIDTH": width, "RAYS": rays_per_program, **self.launch}
        if self.scales is None:
            float_blocks[grid](x, self.weights, self.biases, self.n_blocks, **shape)
        else:
            int8_blocks[grid](x, self.weights, self.scales, self.biases, self.n_blocks, **shape)


@dataclass(frozen=True)
class TritonFusion:
    """See Fusion."""

    widths = TRITON_WIDTHS
    rays_multiple = RAYS_PER_PROGRAM
    triton_ends = True

    @property
    def name(self) -> str:
        """See Fusion.name."""
        import triton

        return f"Triton {triton.__version__}"

    def blocks(self, weights: Tensor, biases: Tensor, scales: Tensor | None) -> TritonBlocks:
        """See Fusion.blocks."""
        from r2l_core.engines.cuda.triton_kernels import launch_shape

        launch = launch_shape(weights.dtype, biases.shape[1])
        return TritonBlocks(weights, biases, scales, launch)
