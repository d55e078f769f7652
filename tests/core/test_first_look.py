"""Pictures before torch is there: they are those of the light field, and nothing loads torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from r2l_core.checkpoints.opening import load_light_field, save_light_field
from r2l_core.engines.fused.engine import weights_of
from r2l_core.engines.fused.library import level_for, level_here
from r2l_core.engines.processor import this_processor
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError, EngineUnavailable, R2LError
from r2l_core.geometry import rays as torch_rays
from r2l_core.geometry.scene import PRESETS
from r2l_core.quantization.folding import folded
from r2l_core.quantization.recipes import quantized
from r2l_core.render import first_look, numpy_network
from r2l_core.render.first_look import FINEST, open_first_look
from r2l_core.render.frames import RenderRequest
from r2l_core.render.pixel_grids import interpolated
from r2l_core.types import Precision

DEMO = PRESETS["demo"]


def never() -> bool:
    return False


@pytest.fixture
def stored(make_light_field, tmp_path):
    """A light field and its file."""

    def make(**network):
        light_field = make_light_field(width=64, **network)
        path = tmp_path / "tiny.safetensors"
        save_light_field(light_field, path)
        return load_light_field(str(path)), str(path)

    return make


def some_pixels(camera, n=500):
    pixels = np.linspace(0, camera.width_px * camera.height_px - 1, n).astype(np.int64)
    return pixels // camera.width_px, pixels % camera.width_px


class TestTheSameComputation:
    @pytest.mark.parametrize("radius", [4.0, 1.0, 9.0])
    def test_rays(self, radius):
        camera = replace(DEMO.home(), radius=radius).camera(160, 120, 150.0)
        rows, columns = some_pixels(camera)
        ours = numpy_network.pixel_rays(camera, rows, columns)
        theirs = torch_rays.pixel_rays(camera, torch.from_numpy(columns), torch.from_numpy(rows))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=2e-6)
        hits = numpy_network.hits_bounds(*ours, DEMO)
        assert 0 < hits.sum() < len(hits) or radius == 1.0
        np.testing.assert_array_equal(hits, torch_rays.hits_bounds(*theirs, DEMO).numpy())
        ours = numpy_network.canonicalise(*ours, DEMO)
        theirs = torch_rays.canonicalise(*theirs, DEMO)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b.numpy(), atol=2e-4)

    @pytest.mark.parametrize("n_sample", [2, 3, 8, 16, 17])
    def test_depths(self, n_sample):
        ours = numpy_network.sample_depths(DEMO, n_sample)
        np.testing.assert_allclose(ours, torch_rays.sample_depths(DEMO, n_sample), rtol=3e-7)

    @pytest.mark.parametrize(
        "network", [{}, {"plucker": True}, {"use_residual": False}, {"res_scale": 0.3}]
    )
    def test_network(self, make_light_field, scene_rays, network):
        light_field = make_light_field(width=64, **network)
        origins, directions = scene_rays(20, light_field.scene)
        ours = numpy_network.network_colors(
            weights_of(light_field, folded(light_field, Precision.FP32)),
            origins.numpy(),
            directions.numpy(),
        )
        theirs = ReferenceEngine(light_field).shade(origins, directions).colors
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)

    @pytest.mark.parametrize("stride", [4, 8, 32])
    def test_what_is_between_the_pixels(self, stride):
        colors = torch.rand(90, 121, 3, generator=torch.Generator().manual_seed(stride))
        known = torch.zeros(90, 121, dtype=torch.bool)
        known[::stride, ::stride] = True
        ours = numpy_network.enlarged(colors[::stride, ::stride].numpy(), stride, 121, 90)
        np.testing.assert_allclose(ours, interpolated(colors, known, stride).numpy(), atol=1e-5)

    def test_level(self):
        assert level_here().name == level_for(this_processor()).name


class TestFrames:
    def test_are_those_of_the_light_field(self, stored):
        light_field, path = stored()
        look = open_first_look(path, None, "auto", 1)
        camera = light_field.scene.home().camera(64, 48, 60.0)
        frames = list(look.frames(RenderRequest(7, camera, target_ms=1e-3), never))
        assert [frame.stride for frame in frames] == [32, 16, 8, 4]
        last = frames[-1]
        assert (last.seq, last.epoch, last.engine.engine) == (7, 0, "fused")
        rows, columns = np.mgrid[0:48:FINEST, 0:64:FINEST]
        rays = torch_rays.pixel_rays(
            camera, torch.from_numpy(columns.ravel()), torch.from_numpy(rows.ravel())
        )
        inside = torch_rays.hits_bounds(*rays, light_field.scene)
        if light_field.ray_mode() == "canonical":
            rays = torch_rays.canonicalise(*rays, light_field.scene)
        colors = ReferenceEngine(light_field).shade(*rays).colors.clone()
        colors[~inside] = torch.tensor(light_field.scene.background_rgb)
        expected = (colors * 255).round().reshape(*rows.shape, 3).numpy()
        shown = last.image[::FINEST, ::FINEST].astype(np.float32)
        assert np.abs(shown - expected).max() <= 1
        assert last.network_rays == int(inside.sum())

    @pytest.mark.parametrize("recipe", ["int8", "int8-static", "weights-bf16"])
    def test_of_a_quantised_file_are_those_of_its_weights(self, make_light_field, tmp_path, recipe):
        path = tmp_path / "eight.safetensors"
        save_light_field(quantized(make_light_field(width=64), recipe), path)
        light_field = load_light_field(str(path))
        assert bool(light_field.quantization.layers) == (recipe != "weights-bf16")
        plain = replace(light_field, quantization=None)
        save_light_field(plain, tmp_path / "plain.safetensors")
        request = RenderRequest(1, light_field.scene.home().camera(64, 48, 60.0), target_ms=1e-3)
        ours, its = (
            list(open_first_look(str(one), None, "auto", 1).frames(request, never))[-1].image
            for one in (path, tmp_path / "plain.safetensors")
        )
        assert np.abs(ours.astype(int) - its).max() <= 1

    def test_end_where_something_newer_waits(self, stored):
        light_field, path = stored()
        look = open_first_look(path, None, "auto", 1)
        request = RenderRequest(1, light_field.scene.home_camera(), target_ms=1e-3)
        assert len(list(look.frames(request, lambda: True))) == 1, "the first one comes"

    def test_are_no_coarser_than_asked_for(self, stored):
        light_field, path = stored()
        look = open_first_look(path, None, "auto", 1)
        request = RenderRequest(1, light_field.scene.home_camera(), target_ms=1e-3, max_stride=8)
        assert next(look.frames(request, never)).stride == 8

    def test_a_given_scene_replaces_the_file_s(self, stored):
        _, path = stored()
        assert open_first_look(path, DEMO, "auto", 1).scene is DEMO


class TestRefused:
    def test_a_kernel_that_computes_something_else(self, stored, monkeypatch):
        _, path = stored()
        monkeypatch.setattr(
            first_look, "network_colors", lambda _, origins, __: np.zeros_like(origins)
        )
        with pytest.raises(EngineError, match="refused"):
            open_first_look(path, None, "auto", 1)

    def test_a_network_the_kernel_has_not(self, stored):
        _, path = stored(n_learnable=3)
        with pytest.raises(EngineUnavailable, match="cannot run this network"):
            open_first_look(path, None, "auto", 1)

    @pytest.mark.parametrize(
        "content", [b"", b"PK\x03\x04", b"\x10" + 7 * b"\0" + b"{}" + 14 * b" "]
    )
    def test_other_files(self, tmp_path, content):
        path = tmp_path / "other.safetensors"
        path.write_bytes(content)
        with pytest.raises(R2LError):
            open_first_look(str(path), None, "auto", 1)

    @pytest.mark.parametrize("beside", [{"scale": (1, 64)}, {"smooth": (32,)}, {"other": (1,)}])
    def test_eight_bits_with_scales_of_something_else(self, make_light_field, tmp_path, beside):
        path = tmp_path / "eight.safetensors"
        save_light_field(quantized(make_light_field(width=64), "int8"), path)
        tensors, header = load_file(path), safe_open(path, "np").metadata()
        layer = next(name for name in tensors if name.endswith(".weight_scale"))[: -len("_scale")]
        ((ending, shape),) = beside.items()
        name = {"scale": f"{layer}_scale"}.get(ending, layer.replace("weight", ending))
        save_file(tensors | {name: torch.ones(shape)}, path, header)
        with pytest.raises(R2LError):
            open_first_look(str(path), None, "auto", 1)

    def test_a_file_that_is_not_there(self):
        with pytest.raises(R2LError):
            open_first_look("/nowhere.safetensors", None, "auto", 1)


@pytest.mark.slow
def test_nothing_loads_torch():
    program = (
        "import sys; from r2l_core.render.first_look import open_first_look; "
        "open_first_look('demo', None, 'auto', 1); "
        "import viewer.run; print('torch' in sys.modules, 'openvino' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
