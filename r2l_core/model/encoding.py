"""What the network is told about a ray: points or Plücker coordinates, and their positional
encoding in its readable form and its fast one.

Both are computed in float32 always: 2^9 * 6 does not survive half precision.
"""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.geometry.rays import plucker_coordinates, sample_depths, sample_points
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField
from r2l_core.model.network import NetworkConfig

RESTART_OCTAVES = 4
"""Double-angle steps between fresh sines: in float32 the error about triples per octave, from
1e-7; four steps stay near 3e-6."""


def encode_reference(points: Tensor, n_frequencies: int) -> Tensor:
    """`[sin(2^0 x) .. sin(2^(L-1) x), cos(2^0 x) .. cos(2^(L-1) x), x]` of every coordinate.

    points: float32 (N, C). Returns float32 (N, C * (2L+1)), coordinate-major, as the released code
    (`PositionalEmbedder`) lays it out.
    """
    frequencies = 2.0 ** torch.arange(n_frequencies, dtype=torch.float32, device=points.device)
    angles = points[..., None] * frequencies
    features = torch.cat([angles.sin(), angles.cos(), points[..., None]], dim=-1)
    return features.reshape(points.shape[0], -1)


def feature_major_order(n_coordinates: int, n_frequencies: int) -> Tensor:
    """Where the columns of `encode_into` stand in `encode_reference`: int64 (C * (2L+1),).

    A head weight `w` (out, features) for reference features becomes `w[:, order]` for fast ones.
    """
    per_coordinate = 2 * n_frequencies + 1
    coordinate = torch.arange(n_coordinates)
    return torch.cat([coordinate * per_coordinate + slot for slot in range(per_coordinate)])


def encode_into(points: Tensor, n_frequencies: int, out: Tensor) -> None:
    """The same features as `encode_reference`, feature-major, written into a reused buffer.

    Column block k holds feature k of every coordinate, so each write is contiguous. Higher
    octaves follow from sin 2x = 2 sin x cos x and cos 2x = 1 - 2 sin^2 x, started afresh every
    few octaves.

    points: float32 (N, C). out: float32 (N, C * (2L+1)), any rows-contiguous memory.
    """
    n_coordinates = points.shape[1]
    blocks = out.view(out.shape[0], 2 * n_frequencies + 1, n_coordinates)
    sin = cos = points
    for octave in range(n_frequencies):
        next_sin, next_cos = blocks[:, octave], blocks[:, n_frequencies + octave]
        if octave % (RESTART_OCTAVES + 1) == 0:
            angles = points * float(2**octave)
            torch.sin(angles, out=next_sin)
            torch.cos(angles, out=next_cos)
        else:
            torch.mul(sin, cos, out=next_sin)
            next_sin.mul_(2.0)
            torch.mul(sin, sin, out=next_cos)
            next_cos.mul_(-2.0).add_(1.0)
        sin, cos = next_sin, next_cos
    blocks[:, 2 * n_frequencies] = points


def encode(points: Tensor, n_frequencies: int) -> Tensor:
    """`encode_reference` at the speed of `encode_into`: same order, values within 1e-5."""
    n_coordinates = points.shape[1]
    per_coordinate = 2 * n_frequencies + 1
    out = points.new_empty(points.shape[0], n_coordinates * per_coordinate)
    encode_into(points, n_frequencies, out)
    feature_major = out.view(-1, per_coordinate, n_coordinates)
    return feature_major.transpose(1, 2).reshape(points.shape[0], -1)


class RayCoordinates:
    """What a network is told about a ray before encoding: its sampled points, or its Plücker
    coordinates."""

    def __init__(
        self, network: NetworkConfig, scene: SceneSpec, device: torch.device | str = "cpu"
    ) -> None:
        self._depths = None if network.plucker else sample_depths(scene, network.n_sample, device)

    def __call__(self, origins: Tensor, directions: Tensor) -> Tensor:
        """float32 (N, 3) each -> float32 (N, network.n_coordinates)."""
        if self._depths is None:
            return plucker_coordinates(origins, directions)
        return sample_points(origins, directions, self._depths)


class FeatureEncoder:
    """Encodes tiles of rays in float32 into one reused buffer, features in fast order.

    A head weight for the published order is brought into this one by `head_weight`.
    """

    def __init__(
        self, light_field: LightField, tile_rays: int, device: torch.device | str = "cpu"
    ) -> None:
        network = light_field.network
        self._n_frequencies = network.n_frequencies
        self._order = feature_major_order(network.n_coordinates, network.n_frequencies)
        self._coordinates = RayCoordinates(network, light_field.scene, device)
        self.features = torch.empty(tile_rays, network.input_size, device=device)
        """float32 (tile_rays, input_size): holds the result of the last `encode`."""

    def encode(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Features of a tile: float32 (n, 3) each -> the first n rows of `features`."""
        features = self.features[: len(origins)]
        encode_into(self._coordinates(origins, directions), self._n_frequencies, features)
        return features

    def head_weight(self, weight: Tensor) -> Tensor:
        """The head's weight (width, input_size) with its columns in this encoder's order."""
        return weight[:, self._order].contiguous()
