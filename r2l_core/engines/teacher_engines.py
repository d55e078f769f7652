"""Teachers behind the engines' contract: rays in, colours out, deterministic."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from r2l_core.engines.base import Shaded, failures_of
from r2l_core.engines.torch_engine import PackedLinear
from r2l_core.geometry.rays import ndc_rays
from r2l_core.model.module import activate_
from r2l_core.model.nerf import NerfNetwork, NerfTeacher
from r2l_core.model.network import Activation
from r2l_core.model.radiance.field import RadianceTeacher
from r2l_core.types import EngineInfo, Precision

TeacherFile = NerfTeacher | RadianceTeacher
"""What a file can hold that light fields are distilled from."""

_BEYOND = 1e10
"""Length of the last interval: whatever is behind it is hidden."""

_PDF_FLOOR = 1e-5


def teacher_engine(teacher: TeacherFile, device: str = "cpu") -> TeacherEngine:
    """An engine for it on "cpu" or "cuda"."""
    if isinstance(teacher, NerfTeacher):
        return NerfEngine(teacher, device)
    return RadianceEngine(teacher, device)


class TeacherEngine(ABC):
    """A teacher in float32 on a processor or GPU. See Engine for the contract."""

    tile_rays: int
    small_tiles: tuple[int, ...] = ()
    any_rays: bool
    quiet_torch = False

    def __init__(self, name: str, arithmetic: str, weights: Iterable[Tensor], device: str) -> None:
        """name: of the engine. weights: what is kept of the teacher. device: "cpu" or "cuda"."""
        self._device = torch.device(device)
        self._rays_at_once = self.tile_rays
        on_gpu = self._device.type == "cuda"
        self.info = EngineInfo(
            engine=name,
            precision=Precision.FP32,
            device=torch.cuda.get_device_name(self._device) if on_gpu else "cpu",
            weight_type="float32",
            arithmetic=f"float32, {arithmetic}",
            kernel=f"torch {torch.__version__}",
            weight_bytes=sum(weight.numel() * 4 for weight in weights),
        )

    @torch.inference_mode()
    def shade(self, origins: Tensor, directions: Tensor) -> Shaded:
        """See Engine.shade. The time of encoding is part of the network's."""
        start = time.perf_counter()
        with failures_of(self.info):
            colors = self._shade(origins.to(self._device), directions.to(self._device)).cpu()
        return Shaded(colors, 0.0, (time.perf_counter() - start) * 1e3)

    def colors(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Colours of any number of rays, float32 (N, 3) each, on the device the rays are on: a
        teacher to distil from."""
        result = torch.empty_like(origins)
        at_once = self._rays_at_once
        for start in range(0, len(origins), at_once):
            rows = torch.arange(start, start + at_once, device=origins.device)
            left = len(origins) - start
            rows = rows[:left] if self.any_rays else rows.clamp_max_(len(origins) - 1)
            tile = (rays[rows].to(self._device) for rays in (origins, directions))
            with torch.inference_mode(), failures_of(self.info):
                shaded = self._shade(*tile)
            result[start : start + at_once] = shaded[:left]
        return result

    @abstractmethod
    def _shade(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Colours of a tile of rays, float32 (n, 3) each, all on the engine's device."""


class RadianceEngine(TeacherEngine):
    """A radiance grid."""

    tile_rays = 2048
    any_rays = True

    def __init__(self, teacher: RadianceTeacher, device: str = "cpu") -> None:
        weights = teacher.field.state_dict().values()
        super().__init__("radiance", teacher.short_name, weights, device)
        self._field = teacher.field
        if self._device.type != "cpu":
            self._rays_at_once = 2**16  # few stay in a processor's cache, many fill a GPU
            self._field = copy.deepcopy(teacher.field).moved(self._device)

    def _shade(self, origins: Tensor, directions: Tensor) -> Tensor:
        colors: Tensor = self._field(origins, directions).colors
        return colors


class NerfEngine(TeacherEngine):
    """A NeRF as the released code computes it (main.py, `render_rays` without perturbation).

    Samples at evenly spaced depths, a coarse network, more samples where it sees something, the
    fine network on all of them, and the volume rendering sum. Sines and cosines are exact, because
    density decides by its sign.
    """

    tile_rays = 128
    """Times 192 samples: about 100 MB of activations, whatever the image."""
    any_rays = False

    def __init__(self, teacher: NerfTeacher, device: str = "cpu") -> None:
        networks = [one for one in (teacher.coarse, teacher.fine) if one is not None]
        weights = [tensor for one in networks for tensor in one.tensors.values()]
        samples = f"{teacher.n_coarse} + {teacher.n_fine} samples a ray"
        super().__init__("nerf", samples, weights, device)
        self._teacher = teacher
        scene, n_fine = teacher.scene, teacher.n_fine
        t = torch.linspace(0.0, 1.0, teacher.n_coarse, device=self._device)
        self._depths = scene.near * (1.0 - t) + scene.far * t
        self._background = torch.tensor(scene.background_rgb, device=self._device)
        n_points = self.tile_rays * teacher.n_coarse
        self._coarse = _Network(teacher.coarse, n_points, self._device)
        self._fine: _Network | None = None
        if teacher.fine is not None and n_fine:
            n_points += self.tile_rays * n_fine
            self._fine = _Network(teacher.fine, n_points, self._device)

    def _shade(self, origins: Tensor, directions: Tensor) -> Tensor:
        views = functional.normalize(directions, dim=-1)
        scene = self._teacher.scene
        if scene.nerf_ndc:
            # The scene's own camera defines the coordinates, not the one that is rendered.
            width_px = scene.width_px
            origins, directions = ndc_rays(
                origins, directions, width_px, scene.height_px, scene.focal_px(width_px)
            )
        depths = self._depths.expand(len(origins), -1)
        raw = self._coarse(_points(origins, directions, depths), views)
        colors, weights = self._integrated(raw, depths, directions)
        if self._fine is None:
            return colors
        middles = 0.5 * (depths[:, 1:] + depths[:, :-1])
        found = importance_depths(middles, weights[:, 1:-1], self._teacher.n_fine)
        depths = torch.cat([depths, found], dim=-1).sort(dim=-1).values
        raw = self._fine(_points(origins, directions, depths), views)
        return self._integrated(raw, depths, directions)[0]

    def _integrated(self, raw: Tensor, depths: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Colour (N, 3) on the scene's background, and each sample's weight in it (N, S)."""
        beyond = torch.full_like(depths[:, :1], _BEYOND)
        lengths = torch.cat([depths[:, 1:] - depths[:, :-1], beyond], dim=-1)
        lengths = lengths * directions.norm(dim=-1, keepdim=True)
        alpha = 1.0 - torch.exp(-raw[..., 3].relu() * lengths)
        passed = torch.cumprod(1.0 - alpha + 1e-10, dim=-1)
        passed = torch.cat([torch.ones_like(passed[:, :1]), passed[:, :-1]], dim=-1)
        weights = alpha * passed
        colors = (weights[..., None] * raw[..., :3].sigmoid()).sum(dim=1)
        return colors + (1.0 - weights.sum(dim=-1, keepdim=True)) * self._background, weights


def _points(origins: Tensor, directions: Tensor, depths: Tensor) -> Tensor:
    """(N, 3), (N, 3), (N, S) -> (N, S, 3)."""
    return origins[:, None, :] + directions[:, None, :] * depths[..., None]


def importance_depths(edges: Tensor, weights: Tensor, n_samples: int) -> Tensor:
    """Depths at even steps of the distribution that `weights` make over the bins between `edges`
    (NeRF, section 5.2; released code, `sample_pdf`, deterministic).

    edges: (N, B + 1). weights: (N, B), not negative. Returns (N, n_samples), ascending.
    """
    density = weights + _PDF_FLOOR
    density = density / density.sum(dim=-1, keepdim=True)
    cumulative = functional.pad(density.cumsum(dim=-1), (1, 0))
    u = torch.linspace(0.0, 1.0, n_samples, device=weights.device)
    u = u.expand(len(weights), n_samples).contiguous()
    above = torch.searchsorted(cumulative, u, right=True)
    below = (above - 1).clamp_min(0)
    above = above.clamp_max(cumulative.shape[-1] - 1)
    start, end = cumulative.gather(1, below), cumulative.gather(1, above)
    step = end - start
    share = (u - start) / torch.where(step < _PDF_FLOOR, 1.0, step)
    near, far = edges.gather(1, below), edges.gather(1, above)
    return near + share * (far - near)


class _Network:
    """One NeRF network for batches of a fixed number of points."""

    def __init__(self, network: NerfNetwork, n_points: int, device: torch.device) -> None:
        self._network = network

        def linear(name: str) -> Callable[..., Tensor]:
            weight = network.tensors[f"{name}.weight"].to(device)
            bias = network.tensors[f"{name}.bias"].to(device)
            if device.type == "cpu":
                return PackedLinear(weight, bias, n_points)

            def plain(x: Tensor, activation: Activation = "none") -> Tensor:
                return activate_(functional.linear(x, weight, bias), activation)

            return plain

        self._points = [linear(f"pts_linears.{k}") for k in range(network.depth)]
        if network.n_view_frequencies is None:
            self._output = linear("output_linear")
        else:
            self._density, self._feature = linear("alpha_linear"), linear("feature_linear")
            self._views, self._color = linear("views_linears.0"), linear("rgb_linear")

    def __call__(self, points: Tensor, views: Tensor) -> Tensor:
        """Points (N, S, 3) seen along unit directions (N, 3) -> colour and density (N, S, 4),
        before their activations."""
        n_rays, n_samples, _ = points.shape
        encoded = _encoded(points.reshape(-1, 3), self._network.n_frequencies)
        h = encoded
        for k, layer in enumerate(self._points):
            h = torch.cat([encoded, h], dim=-1) if k in self._network.skips else h
            h = layer(h, "relu")
        n_view_frequencies = self._network.n_view_frequencies
        if n_view_frequencies is None:
            raw = self._output(h)[:, :4]
        else:
            seen = _encoded(views, n_view_frequencies).repeat_interleave(n_samples, dim=0)
            color = self._views(torch.cat([self._feature(h), seen], dim=-1), "relu")
            raw = torch.cat([self._color(color), self._density(h)], dim=-1)
        return raw.view(n_rays, n_samples, 4)


def _encoded(x: Tensor, n_frequencies: int) -> Tensor:
    """`[x, sin x, cos x, sin 2x, cos 2x, ...]` of three coordinates: (N, 3) -> (N, 6L + 3)."""
    parts = [x]
    for octave in range(n_frequencies):
        angles = x * float(2**octave)
        parts += [angles.sin(), angles.cos()]
    return torch.cat(parts, dim=-1)
