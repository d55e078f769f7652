"""The network against numpy that knows nothing but the state dict and the published formula."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from r2l_core.model.module import R2LNetwork
from r2l_core.model.network import NetworkConfig

PUBLISHED = NetworkConfig(depth=88, width=256, n_sample=16, n_frequencies=10)


def numpy_network(
    state: dict[str, torch.Tensor], features: np.ndarray, res_scale: float, use_residual: bool
) -> np.ndarray:
    """head, residual blocks while there are any, global skip, tail; float64."""
    weights = {name: tensor.double().numpy() for name, tensor in state.items()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    head = np.maximum(linear("head.0", features), 0)
    x = head
    block = 0
    while f"body.{block}.body.0.weight" in weights:
        inside = np.maximum(linear(f"body.{block}.body.0", x), 0)
        x = x + res_scale * linear(f"body.{block}.body.2", inside)
        block += 1
    if use_residual:
        x = x + head
    return 1 / (1 + np.exp(-linear("tail.0", x)))


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"depth": 2},
        {"depth": 3},
        {"depth": 12, "width": 7},
        {"width": 1},
        {"width": 33, "n_sample": 2},
        {"n_frequencies": 0},
        {"n_frequencies": 10, "n_sample": 16},
        {"res_scale": 0.1},
        {"res_scale": -2.0, "use_residual": False},
        {"use_residual": False},
        {"depth": 2, "use_residual": False},
    ],
    ids=str,
)
def test_the_published_formula(make_light_field, network):
    light_field = make_light_field(**network)
    config = light_field.network
    generator = torch.Generator().manual_seed(7)
    features = torch.randn(50, config.input_size, generator=generator)
    expected = numpy_network(
        light_field.tensors, features.double().numpy(), config.res_scale, config.use_residual
    )
    colors = light_field.module()(features)
    assert colors.shape == (50, 3)
    assert expected.std() > 0.02, "otherwise anything would agree"
    np.testing.assert_allclose(colors.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("depth", [2, 3, 6, 7, 88])
def test_state_dict_names_are_the_released_ones(depth):
    names = ["head.0.weight", "head.0.bias"]
    for block in range((depth - 2) // 2):
        for layer in (0, 2):
            names += [f"body.{block}.body.{layer}.weight", f"body.{block}.body.{layer}.bias"]
    names += ["tail.0.weight", "tail.0.bias"]
    with torch.device("meta"):
        network = R2LNetwork(NetworkConfig(depth=depth, width=4, n_sample=2, n_frequencies=1))
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("config", [PUBLISHED, NetworkConfig(7, 5, 3, 0), NetworkConfig(2, 1, 2)])
def test_tensor_shapes_are_those_of_the_built_network(config):
    with torch.device("meta"):
        state = R2LNetwork(config).state_dict()
    assert config.tensor_shapes() == {name: tuple(t.shape) for name, t in state.items()}


def test_size_and_cost_of_the_published_network():
    parameters = sum(math.prod(shape) for shape in PUBLISHED.tensor_shapes().values())
    assert PUBLISHED.input_size == 1008
    assert PUBLISHED.n_blocks == 43
    assert parameters / 1e6 == pytest.approx(5.92, abs=0.005)
    assert parameters * 4 / 1e6 == pytest.approx(23.7, abs=0.05)
    assert PUBLISHED.flop_per_ray / 1e6 == pytest.approx(11.79, abs=0.005)
    assert PUBLISHED.short_name == "W256 D88"


def test_cost_counts_two_operations_per_weight():
    config = NetworkConfig(8, 10, 2, 1)
    weights = sum(math.prod(shape) for shape in config.tensor_shapes().values() if len(shape) == 2)
    assert config.flop_per_ray == 2 * weights


def test_an_odd_depth_means_the_even_one_below():
    odd, even = NetworkConfig(depth=7), NetworkConfig(depth=6)
    assert odd.n_blocks == even.n_blocks == 2
    assert odd.tensor_shapes() == even.tensor_shapes()
    assert odd.flop_per_ray == even.flop_per_ray


@pytest.mark.parametrize(
    "wrong",
    [{"depth": 1}, {"depth": -4}, {"width": 0}, {"n_sample": 1}, {"n_frequencies": -1}],
    ids=str,
)
def test_impossible_networks_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be at least|at least"):
        replace(NetworkConfig(), **wrong)


def test_a_configuration_survives_as_plain_values():
    config = NetworkConfig(9, 17, 3, 5, 0.5, False)
    assert NetworkConfig(**config.to_dict()) == config
