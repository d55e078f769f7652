"""The network that rays go through in training: the body's layers stacked, in bfloat16 or float32.

A residual block's two layers make some twenty small operations of one training step, each of which
a GPU takes longer to begin than to do. With all activations in one tensor the gradients of all
weights are a single product, and seven operations a block are left.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from r2l_core.model.module import R2LNetwork, ResidualBlock, activate_


class StackedNetwork:
    """A copy of a network's weights for its training steps, and where their gradients go.

    `forward` goes through the copies; after a backward pass `collect` hands the gradients to the
    network's own parameters, in their precision, and `refresh` copies what they have become.
    """

    def __init__(self, network: R2LNetwork, dtype: torch.dtype = torch.bfloat16) -> None:
        self._config = network.config
        firsts, seconds = zip(*(_layers(block) for block in network.body), strict=True)
        layers = ([network.head[0]], firsts, seconds, [network.tail[0]])
        self._weights: list[Tensor] = []
        self._views: list[Tensor] = []
        self._copies: list[Tensor] = []
        self._gradients: list[Tensor] = []
        self._space: tuple[Tensor, ...] = ()
        for name in ("weight", "bias"):
            for group in layers:
                parameters = [getattr(layer, name) for layer in group]
                stack = torch.stack([parameter.detach() for parameter in parameters])
                gradients = torch.zeros_like(stack)
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                copies = stack.to(dtype)
                self._weights += parameters
                self._views += copies.unbind()
                self._copies.append(copies.requires_grad_())
                self._gradients.append(gradients)

    def forward(self, features: Tensor) -> Tensor:
        """Encoded rays (N, input_size) to colours (N, 3), both in the copies' precision."""
        head, first, second, tail, head_bias, first_bias, second_bias, tail_bias = self._copies
        config = self._config
        hidden = activate_(functional.linear(features, head[0], head_bias[0]), config.act)
        if config.res_scale != 1.0:
            second, second_bias = config.res_scale * second, config.res_scale * second_bias
        # The same memory in every step: a processor takes as long to be given it as to use it.
        if not self._space or self._space[0].shape[1:] != hidden.shape:
            n_blocks = len(first)
            self._space = tuple(
                hidden.new_empty(n, *hidden.shape)
                for n in (n_blocks + 1, n_blocks, n_blocks, n_blocks + 1)
            )
        body = _body(self._space, hidden, first, first_bias, second, second_bias)
        if config.use_residual:
            body = body + hidden
        return functional.linear(body, tail[0], tail_bias[0]).sigmoid()

    def forget(self) -> None:
        """Drop the gradients of the last backward pass."""
        for copies in self._copies:
            copies.grad = None

    def collect(self) -> None:
        """Hand the gradients of the last backward pass to the network's parameters."""
        found = [copies.grad for copies in self._copies if copies.grad is not None]
        torch._foreach_copy_(self._gradients, found)

    def refresh(self) -> None:
        """Take over the network's weights."""
        torch._foreach_copy_(self._views, self._weights)


def _layers(block: nn.Module) -> tuple[nn.Linear, nn.Linear]:
    assert isinstance(block, ResidualBlock)
    # As published: two layers, a ReLU between, none after the sum.
    first, between, second = block.body
    assert isinstance(first, nn.Linear)
    assert isinstance(between, nn.ReLU)
    assert isinstance(second, nn.Linear)
    assert not len(block.outact)
    return first, second


def _body(space: tuple[Tensor, ...], x: Tensor, *layers: Tensor) -> Tensor:
    result: Tensor = _Body.apply(space, x, *layers)  # type: ignore[no-untyped-call]
    return result


class _Body(torch.autograd.Function):
    """B blocks `x + second(relu(first(x)))`: x (N, W), weights (B, W, W), biases (B, W).

    space: for what goes into every block and comes out of the last, (B + 1, N, W), what is between
    the layers, (B, N, W), and the gradients of both, in the other order.
    """

    @staticmethod
    def forward(
        ctx: Any,
        space: tuple[Tensor, ...],
        x: Tensor,
        first: Tensor,
        first_bias: Tensor,
        second: Tensor,
        second_bias: Tensor,
    ) -> Tensor:
        inputs, between, *_ = space
        inputs[0] = x
        layers = zip(first, first_bias, second, second_bias, strict=True)
        for k, (w1, b1, w2, b2) in enumerate(layers):
            torch._addmm_activation(b1, inputs[k], w1.t(), out=between[k])
            torch.addmm(b2, between[k], w2.t(), out=inputs[k + 1]).add_(inputs[k])
        ctx.save_for_backward(first, second)
        ctx.space = space
        return inputs[-1].detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, Tensor, Tensor, Tensor]:
        first, second = ctx.saved_tensors
        inputs, between, inside, after = ctx.space
        after[-1] = gradient
        for k in reversed(range(len(first))):
            torch.mm(after[k + 1], second[k], out=inside[k])
            torch.ops.aten.threshold_backward.grad_input(
                inside[k], between[k], 0.0, grad_input=inside[k]
            )
            torch.mm(inside[k], first[k], out=after[k]).add_(after[k + 1])
        return (
            None,
            after[0],
            torch.bmm(inside.mT, inputs[:-1]),
            inside.sum(1),
            torch.bmm(after[1:].mT, between),
            after[1:].sum(1),
        )
