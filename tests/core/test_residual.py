"""The growth of the residual stream, of networks whose numbers are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from r2l_core.quantization.calibration import calibration_rays
from r2l_core.quantization.divergence import residual_stream_sizes
from r2l_core.quantization.walk import exact_layers, features_of, walk


@pytest.fixture
def doubling(make_light_field):
    """The head gives (3, 4, 0, 0) for every ray; each block adds what is there: it doubles."""
    field = make_light_field(width=4, depth=8)
    tensors = {name: torch.zeros_like(tensor) for name, tensor in field.tensors.items()}
    tensors["head.0.bias"] = torch.tensor([3.0, 4.0, 0.0, 0.0])
    for name in tensors:
        if name.startswith("body") and name.endswith("weight"):
            tensors[name] = torch.eye(4)
    return replace(field, tensors=tensors)


def test_growth_by_hand(doubling):
    sizes = residual_stream_sizes(doubling, 10)
    assert [size.after for size in sizes] == ["head", "body.0", "body.1", "body.2"]
    for k, size in enumerate(sizes):
        assert size.rms == pytest.approx(2.5 * 2**k)
        assert size.max_abs == size.ray_max_abs_median == 4 * 2**k
        assert size.rms_ratio_to_head == pytest.approx(2**k)
        assert size.max_abs_ratio_to_head == 2**k


def test_growth_of_differing_rays(make_light_field):
    field = make_light_field(res_scale=0.5)
    sizes = residual_stream_sizes(field, 100)
    features = features_of(field, *calibration_rays(field.scene, 100, 1))
    calls = walk(field.network, exact_layers(field), features)
    streams = [call.stream for call in calls if call.stream is not None]
    assert len(streams) == len(sizes) == 1 + field.network.n_blocks
    for size, stream in zip(sizes, streams, strict=True):
        assert size.rms == pytest.approx(math.sqrt(float(stream.square().mean())), rel=1e-5)
        assert size.max_abs == float(stream.abs().max())
        assert size.ray_max_abs_median == float(stream.abs().amax(1).median())
        assert size.ray_max_abs_median < size.max_abs


def test_a_head_of_zeros_has_no_ratio(doubling):
    tensors = {**doubling.tensors, "head.0.bias": torch.zeros(4)}
    for size in residual_stream_sizes(replace(doubling, tensors=tensors), 10):
        assert (size.rms, size.rms_ratio_to_head, size.max_abs_ratio_to_head) == (0.0, None, None)
