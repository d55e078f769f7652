"""Rays to network features, shared by the fast engines."""

from __future__ import annotations

import torch
from torch import Tensor

from r2l_core.model.encoding import RayCoordinates, encode_into, feature_major_order
from r2l_core.model.light_field import LightField


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
