"""Rays to network features, shared by the fast engines."""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.checkpoint import LightField
from r2l_core.encoding import encode_into, feature_major_order
from r2l_core.rays import sample_depths, sample_points


class FeatureEncoder:
    """Encodes tiles of rays in float32 into one reused buffer, features in fast order.

    A head weight for the published order is brought into this one by `head_weight`.
    """

    def __init__(
        self, light_field: LightField, tile_rays: int, device: torch.device | str = "cpu"
    ) -> None:
        network = light_field.network
        self._n_frequencies = network.n_frequencies
        self._order = feature_major_order(3 * network.n_sample, network.n_frequencies)
        self._depths = sample_depths(light_field.scene, network.n_sample, device)
        self.features = torch.empty(tile_rays, network.input_size, device=device)
        """float32 (tile_rays, input_size): holds the result of the last `encode`."""

    def encode(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Features of a tile: float32 (n, 3) each -> the first n rows of `features`."""
        points = sample_points(origins, directions, self._depths)
        features = self.features[: len(points)]
        encode_into(points, self._n_frequencies, features)
        return features

    def head_weight(self, weight: Tensor) -> Tensor:
        """The head's weight (width, input_size) with its columns in this encoder's order."""
        return weight[:, self._order].contiguous()
