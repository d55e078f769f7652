"""Coarse pictures of a light field within a second of the start: numpy and the fused kernel alone.

torch and other backends take seconds to load. Until they are there, a native file's network runs in
float32, as it is, on a kernel that was checked against `numpy_network` on rays of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r2l_core.checkpoints.native_header import check_promise, describe
from r2l_core.checkpoints.opening import checkpoint_file
from r2l_core.checkpoints.safetensors_header import Header, read_header, read_numbers
from r2l_core.engines.fused.kernel import FusedKernel
from r2l_core.engines.fused.library import level_here
from r2l_core.engines.fused.packing import Weights, why_not
from r2l_core.errors import EngineError, EngineUnavailable, R2LError
from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.network import NetworkConfig
from r2l_core.model.turning import TURN_SIGNS, are_turn_signs, turn_matrix, turned
from r2l_core.render.budget import finest_stride
from r2l_core.render.frames import STRIDES, Frame, FrameTimings, RenderRequest
from r2l_core.render.numpy_network import (
    canonicalise,
    enlarged,
    hits_bounds,
    network_colors,
    pixel_rays,
    sample_depths,
)
from r2l_core.types import EngineInfo, Precision, RayMode, to_uint8

Array = NDArray[Any]

FINEST = 4
"""Finer grids are left to the renderer that comes next."""

_SCALE, _SMOOTH = ".weight_scale", ".smooth"
_BESIDE = (_SMOOTH, ".input_amax", ".input_center")
"""What a file has for a layer in eight bits, after its name."""
_CHECK_RAYS = 13
_CHECK_FLOOR_DB = 80.0
_TIMED_RAYS = 256


class FirstLook:
    """A light field on the fused kernel. Used by one thread."""

    def __init__(
        self,
        name: str,
        network: NetworkConfig,
        scene: SceneSpec,
        tensors: Mapping[str, Array],
        ray_mode: RayMode,
        n_threads: int,
    ) -> None:
        """tensors: float32, by state-dict name.

        Raises EngineUnavailable where the kernel cannot run here, and EngineError where it computes
        something else than numpy.
        """
        if reason := why_not(network):
            raise EngineUnavailable("The fused engine cannot run this network", reason)
        self.name, self.scene, self.ray_mode = name, scene, ray_mode
        weights = Weights(network, tensors, sample_depths(scene, network.n_sample))
        self._kernel = FusedKernel(weights, Precision.FP32, level_here(), n_threads)
        camera = scene.home_camera()
        _check(self._kernel, weights, self._rays(camera, _spread(camera, _CHECK_RAYS)))
        rays = self._rays(camera, _spread(camera, _TIMED_RAYS))
        began = time.perf_counter()
        self._shade(*rays)
        self._rays_per_s = _TIMED_RAYS / max(time.perf_counter() - began, 1e-6)
        self._inside = 1.0
        """Share of the last picture's rays that met the scene."""

    @property
    def info(self) -> EngineInfo:
        """What runs."""
        return self._kernel.info

    def frames(self, request: RenderRequest, cancelled: Callable[[], bool]) -> Iterator[Frame]:
        """Pictures of a request: the first in its time, then finer ones until `cancelled`."""
        began = time.perf_counter()
        camera = request.camera

        def seconds_at(stride: int) -> float:
            n_pixels = -(-camera.width_px // stride) * -(-camera.height_px // stride)
            return n_pixels * self._inside / self._rays_per_s

        first = finest_stride(seconds_at, request.target_ms / 1e3, None)
        first = max(min(first, request.max_stride), FINEST)
        for stride in STRIDES:
            if stride > first or stride < FINEST:
                continue
            if stride < first and cancelled():
                return
            found = self._frame(request, stride, began, never if stride == first else cancelled)
            if found is None:
                return
            yield found

    def _frame(
        self, request: RenderRequest, stride: int, began: float, cancelled: Callable[[], bool]
    ) -> Frame | None:
        start = time.perf_counter()
        camera = request.camera
        width_px, height_px = camera.width_px, camera.height_px
        rows, columns = np.mgrid[0:height_px:stride, 0:width_px:stride]
        origins, directions = self._rays(camera, (rows.reshape(-1), columns.reshape(-1)))
        inside = hits_bounds(origins, directions, self.scene)
        rays_ms = (time.perf_counter() - start) * 1e3
        colors = np.empty((rows.size, 3), np.float32)
        colors[:] = self.scene.background_rgb
        asked = np.flatnonzero(inside)
        encode_ms = network_ms = 0.0
        for part in np.split(
            asked, range(self._kernel.call_rays, len(asked), self._kernel.call_rays)
        ):
            if cancelled():
                return None
            colors[part], encode, network = self._shade(origins[part], directions[part])
            encode_ms, network_ms = encode_ms + encode, network_ms + network
        if len(asked):
            self._inside = len(asked) / rows.size
            self._rays_per_s = len(asked) / max((encode_ms + network_ms) / 1e3, 1e-6)
        picture = enlarged(colors.reshape(*rows.shape, 3), stride, width_px, height_px)
        image = to_uint8(picture)
        image.flags.writeable = False
        now = time.perf_counter()
        copy_ms = max((now - start) * 1e3 - rays_ms - encode_ms - network_ms, 0.0)
        return Frame(
            seq=request.seq,
            epoch=0,
            camera=camera,
            image=image,
            stride=stride,
            network_rays=len(asked),
            timings=FrameTimings(rays_ms, encode_ms, network_ms, copy_ms),
            elapsed_ms=(now - began) * 1e3,
            engine=self.info,
            created_s=request.created_s,
            known_share=rows.size / (width_px * height_px),
        )

    def _rays(self, camera: Camera, pixels: tuple[Array, Array]) -> tuple[Array, Array]:
        origins, directions = pixel_rays(camera, *pixels)
        if self.ray_mode == "canonical":
            origins, directions = canonicalise(origins, directions, self.scene)
        return np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(
            directions, np.float32
        )

    def _shade(self, origins: Array, directions: Array) -> tuple[Array, float, float]:
        colors = np.empty((len(origins), 3), np.float32)
        spell = self._kernel.shade(origins, directions, colors)
        return colors, spell.encode_ms, spell.network_ms


def open_first_look(
    name_or_path: str, scene: SceneSpec | None, rays: str, n_threads: int
) -> FirstLook:
    """A first look at an embedded light field or a native file, whose own scene `scene` replaces.
    Of a quantised one, its weights in float32 are looked at.

    rays: a ray mode, or `auto`. Raises R2LError for whatever is better opened by the renderer:
    other kinds of files, and damaged ones, which are told about there.
    """
    path = checkpoint_file(name_or_path)
    try:
        with path.open("rb") as file:
            header = read_header(file)
            check_promise(path, header)
            network, own_scene, _ = describe(path, header.metadata)
            scene = scene or own_scene
            if scene is None:
                raise _not_here("it says no scene")
            shapes = network.tensor_shapes()
            if not _holds(header, shapes):
                raise _not_here("its tensors are others than its network's")
            tensors = {name: _weights(file, header, name) for name in shapes}
            if TURN_SIGNS in header.tensors:
                signs = _read(file, header, TURN_SIGNS)
                if not are_turn_signs(signs, network):
                    raise ValueError(f"{TURN_SIGNS} do not turn the stream of this network")
                tensors = turned(network, tensors, turn_matrix(signs).T, _eight_bits(header))
    except (OSError, ValueError) as error:
        raise _not_here(str(error)) from error
    plain = rays == "auto" and header.metadata.get("rays") == "plain"
    ray_mode = scene.ray_mode("plain" if plain else rays)
    return FirstLook(path.stem, network, scene, tensors, ray_mode, n_threads)


def never() -> bool:
    """The flag of a picture that always comes."""
    return False


def _not_here(why: str) -> R2LError:
    return EngineUnavailable("There is no first look at this light field", why)


def _holds(header: Header, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether all tensors of a network are there, and beside them only what layers in eight bits
    bring along."""
    layers = _eight_bits(header)
    brought = {f"{layer}{ending}" for layer in layers for ending in (_SCALE, *_BESIDE)}
    if layers:
        brought.add(TURN_SIGNS)
    found = {name: one.shape for name, one in header.tensors.items() if name not in brought}
    return found == shapes


def _eight_bits(header: Header) -> set[str]:
    """Names of the layers in eight bits."""
    if "quantization" not in header.metadata:
        return set()
    return {name.removesuffix(_SCALE) for name in header.tensors if name.endswith(_SCALE)}


def _weights(file: Any, header: Header, name: str) -> Array:
    """A network's tensor in float32, whatever it is stored in."""
    layer = name.removesuffix(".weight")
    if header.tensors[name].dtype != "I8":
        return _read(file, header, name)
    # See `opening` for what is stored beside it, and `QuantizedLinear` for what it stands for.
    integers, scale = _read(file, header, name), _read(file, header, layer + _SCALE)
    smooth = np.ones(integers.shape[1:], np.float32)
    if layer + _SMOOTH in header.tensors:
        smooth = _read(file, header, layer + _SMOOTH)
    if scale.shape != (len(integers), 1) or smooth.shape != integers.shape[1:] or 0 in smooth:
        raise ValueError(f"{layer} has other scales than its weight")
    weights: Array = integers * scale / smooth
    return weights


def _read(file: Any, header: Header, name: str) -> Array:
    if name not in header.tensors:
        raise ValueError(f"{name} is missing")
    stored = header.tensors[name]
    kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "I8": "<i1"}.get(stored.dtype)
    if kind is None:
        raise ValueError(f"{name} holds {stored.dtype}")
    data = read_numbers(file, header, name, int(kind[-1]))
    array: Array = np.frombuffer(data, kind)
    if stored.dtype == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    array = array.astype(np.float32, copy=False).reshape(stored.shape)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds values that are not finite")
    return array


def _spread(camera: Camera, n: int) -> tuple[Array, Array]:
    """Rows and columns of n pixels all over a picture."""
    pixels = np.linspace(0, camera.width_px * camera.height_px - 1, n).astype(np.int64)
    return pixels // camera.width_px, pixels % camera.width_px


def _check(kernel: FusedKernel, weights: Weights, rays: tuple[Array, Array]) -> None:
    """Raise EngineError where the kernel computes something else than numpy."""
    colors = np.empty((len(rays[0]), 3), np.float32)
    kernel.shade(*rays, colors)
    with np.errstate(over="ignore"):
        expected = network_colors(weights, *rays)
    error = float(np.square(colors - expected, dtype=np.float64).mean())
    if not error <= 10 ** (-_CHECK_FLOOR_DB / 10):
        raise EngineError("The fused kernel was refused", "its colours are not numpy's")
