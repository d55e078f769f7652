"""The network of training steps, against the module it is a copy of."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional

from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig
from r2l_core.training.stacked import StackedNetwork

CONFIGS = {
    "published": NetworkConfig(depth=10, width=24, n_sample=4, n_frequencies=2),
    "one block": NetworkConfig(depth=4, width=24, n_sample=4, n_frequencies=2),
    "other": NetworkConfig(
        depth=8,
        width=24,
        n_sample=4,
        n_frequencies=2,
        act="lrelu",
        res_scale=0.3,
        use_residual=False,
    ),
}


@pytest.fixture(params=CONFIGS)
def network(request) -> R2LNetwork:
    torch.manual_seed(0)
    return R2LNetwork(CONFIGS[request.param])


def batch(network: R2LNetwork, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    features = torch.randn(96, network.config.input_size, generator=random)
    return features.to(dtype), torch.rand(96, 3, generator=random)


def learned(module: R2LNetwork, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Gradients as torch makes them."""
    module = copy.deepcopy(module).to(dtype)
    features, colors = batch(module, dtype)
    functional.mse_loss(module(features).float(), colors).backward()
    return {name: parameter.grad.double() for name, parameter in module.named_parameters()}


def stacked(network: R2LNetwork, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    steps = StackedNetwork(network, dtype)
    features, colors = batch(network, dtype)
    for _ in range(2):  # the second adds nothing to the first
        steps.forget()
        functional.mse_loss(steps.forward(features).float(), colors).backward()
        steps.collect()
    return {name: parameter.grad.double() for name, parameter in network.named_parameters()}


def test_gradients_are_those_of_the_module(network):
    expected, found = learned(network, torch.float64), stacked(network, torch.float64)
    for name, gradient in expected.items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-9)


def test_in_bfloat16_they_are_as_near_to_the_truth(network):
    true = learned(network, torch.float64)
    plain, found = learned(network, torch.bfloat16), stacked(network, torch.bfloat16)

    def off(gradients: dict[str, torch.Tensor]) -> float:
        return sum(
            float((gradients[name] - true[name]).norm() / true[name].norm()) for name in true
        )

    assert off(found) < 1.1 * off(plain)


def test_the_copies_follow_the_network(network):
    steps = StackedNetwork(network, torch.float64)
    features, _ = batch(network, torch.float64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.1)
        before = steps.forward(features)
        steps.refresh()
        after = steps.forward(features)
    expected = copy.deepcopy(network).double()(features)
    torch.testing.assert_close(after, expected)
    assert not torch.allclose(before, expected)
