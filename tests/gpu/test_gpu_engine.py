"""The CUDA engine on a GPU, every way through the network by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from r2l_core.engines import choice
from r2l_core.engines.choice import shade_all
from r2l_core.engines.cuda import engine as cuda_engine
from r2l_core.engines.cuda.device import cuda_device
from r2l_core.engines.cuda.engine import CudaEngine, CudaFactory
from r2l_core.engines.cuda.fusion import Fusion, TritonFusion
from r2l_core.engines.cuda.hopper.blocks import HOPPER, HopperFusion
from r2l_core.engines.integer_probe import runs_integers
from r2l_core.engines.reference import ReferenceEngine
from r2l_core.errors import EngineError
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.images.difference_on_device import difference_on_device
from r2l_core.render.sources import NetworkSource
from r2l_core.types import Precision
from tests.cuda_cases import (
    LEAST_PSNR_DB,
    NETWORKS,
    RUNS,
    colors_psnr_db,
    int8_blocks,
    int8_twin,
    random_layers,
)

pytestmark = pytest.mark.gpu


def _fusions() -> list[Fusion | None]:
    """Those that this GPU has a kernel for; fp32 has none."""
    if not torch.cuda.is_available():
        return [None]
    capability = torch.cuda.get_device_capability()
    hopper: list[Fusion | None] = [HopperFusion()] if capability == HOPPER else []
    return [*hopper, TritonFusion(), None]


WAYS = [(precision, fusion) for precision in RUNS for fusion in _fusions()]
WAYS = [way for way in WAYS if way[0] is not Precision.FP32 or way[1] is None]


def _name(way) -> str:
    return f"{way[0]}-{type(way[1]).__name__ if way[1] else 'cublas'}"


@pytest.fixture(params=WAYS, ids=map(_name, WAYS))
def way(request):
    """A precision, and how its blocks are fused."""
    answer = CudaFactory().available(request.param[0], "cuda")
    if not answer.available:
        pytest.skip(answer.why_not)
    return request.param


@pytest.fixture
def precision(way):
    return way[0]


@pytest.fixture
def build(way):
    """A function that builds an engine of one way for a light field."""
    precision, fusion = way

    def build_it(light_field) -> CudaEngine:
        return CudaEngine(light_field, precision, cuda_device(), fusion)

    return build_it


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS.keys())
def test_agrees_with_the_reference(build, precision, make_light_field, scene_rays, network):
    light_field, rays = make_light_field(**network), scene_rays(1500)
    engine = build(light_field)
    choice.check(engine, light_field)
    colors = shade_all(engine, *rays)
    if precision is Precision.INT8:
        assert colors_psnr_db(colors, int8_twin(light_field, rays)) > 55
    else:
        expected = shade_all(ReferenceEngine(light_field), *rays)
        assert colors_psnr_db(colors, expected) >= LEAST_PSNR_DB[precision]


@pytest.mark.parametrize("width", [64, 128, 256])
def test_the_published_depth_runs_at_every_width(build, make_light_field, width):
    engine = build(make_light_field(depth=88, width=width, res_scale=0.1))
    rays = torch.zeros(engine.tile_rays, 3), torch.ones(engine.tile_rays, 3)
    colors = engine.shade(*rays).colors
    assert colors.isfinite().all()
    assert torch.equal(colors, colors[:1].expand_as(colors)), "equal rays, equal colours"


def camera_of_tiles(n_tiles: float, engine: CudaEngine, scene):
    """The scene's first camera, with as many pixels as so many tiles have rays."""
    side_px = math.isqrt(round(n_tiles * engine.tile_rays))
    return scene.home().camera(side_px, side_px, scene.focal_px(side_px))


@pytest.mark.parametrize("kind", [kind for kind in DifferenceKind if kind.quick])
def test_differences_have_the_bits_that_a_processor_gives(kind):
    place = cuda_device().torch_device
    random = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (2, 200, 300, 3), generator=random, dtype=torch.uint8)
    for pictures in (levels, torch.rand(2, 200, 300, 3, generator=random)):
        found = difference_on_device(kind, *pictures.to(place)).cpu().numpy()
        expected = difference_map(kind, *pictures.numpy())
        assert (found.view("int32") == expected.view("int32")).all()


def test_what_is_compared_is_compared_on_the_device(build, make_light_field, scene):
    """Whole pictures of two light fields, their 8 bits and their exact colours."""
    sources = [NetworkSource(build(make_light_field(seed=seed)), scene) for seed in (0, 1)]
    camera = camera_of_tiles(2.5, sources[0].engine, scene)
    a, b = (source.whole_picture(camera) for source in sources)
    for exact, pair in (
        (False, (a.image, b.image)),
        (True, (a.colors().numpy(), b.colors().numpy())),
    ):
        found = sources[0].pictures.difference(DifferenceKind.ABSOLUTE, a, b, exact)
        assert found.any()
        assert (found == difference_map(DifferenceKind.ABSOLUTE, *pair)).all()


def test_previews_are_parts_of_the_whole_picture(build, light_field, scene):
    """As far as the same arithmetic in other places of a tile rounds alike."""
    source = NetworkSource(build(light_field), scene, "canonical", skip_background=True)
    camera = camera_of_tiles(2.5, source.engine, scene)
    whole = source.whole_picture(camera).colors().view(-1, 3)
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0))
    for some in (order[: len(whole) // 20], order):
        plan = source.plan(camera, some)
        assert plan.batch.rays == ()
        colors = torch.cat([part.clone() for part, _ in source.shade(camera, plan.batch)])
        assert (colors - whole[plan.batch.pixels]).abs().max() < 0.02


def test_tiles_are_independent_and_timed(build, light_field, scene_rays):
    engine = build(light_field)
    rays, others = (scene_rays(engine.tile_rays, seed=seed) for seed in (0, 1))
    first = engine.shade(*rays)
    kept = first.colors.clone()
    assert not torch.equal(engine.shade(*others).colors, kept)
    assert torch.equal(first.colors, kept), "the next tile must not overwrite it"
    assert torch.equal(engine.shade(*rays).colors, kept)
    order = torch.randperm(len(rays[0]), generator=torch.Generator().manual_seed(0))
    moved = engine.shade(*(part[order] for part in rays)).colors
    assert torch.equal(moved, kept[order]), "a colour depends on the ray alone"
    assert first.encode_ms > 0
    assert first.network_ms > 0


def test_engines_do_not_disturb_each_other(build, precision, make_light_field, scene_rays):
    """They share a stream, and each has graphs with memory of its own."""
    one, other = (build(make_light_field(seed=seed)) for seed in (0, 1))
    rays = scene_rays(one.tile_rays)
    alone = one.shade(*rays).colors
    different = other.shade(*rays).colors
    assert not torch.equal(alone, different)
    assert torch.equal(one.shade(*rays).colors, alone)
    del other
    torch.cuda.empty_cache()
    assert torch.equal(one.shade(*rays).colors, alone)


@pytest.mark.parametrize("fusion", _fusions(), ids=lambda one: type(one).__name__)
def test_int8_is_integers(fusion):
    device = cuda_device()
    assert runs_integers(lambda field: CudaEngine(field, Precision.INT8, device, fusion), 256)
    assert not runs_integers(lambda field: CudaEngine(field, Precision.FP16, device, fusion), 256)


@pytest.mark.parametrize("width", [64, 128, 256])
def test_agrees_with_the_interpreter(run_blocks, width):
    weights, biases, x = random_layers(6, width)
    rays = x.repeat(4, 1)
    blocks = int8_blocks(weights, biases)
    tensors = ("weights", "biases", "scales")
    on_gpu = replace(blocks, **{name: getattr(blocks, name).cuda() for name in tensors})
    result = rays.cuda()
    on_gpu(result)
    # Contracted multiply-adds round once where the interpreter rounds twice.
    expected = run_blocks(blocks, rays)
    assert (result.cpu() - expected).norm() < 2e-3 * expected.norm()


@pytest.mark.parametrize("precision", RUNS)
def test_the_best_way_is_fused(light_field, precision):
    info = CudaFactory().build(light_field, precision, "cuda").info
    assert info.fallback == ""
    assert ("fused by Triton" in info.kernel) == (precision is not Precision.FP32)


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP16, Precision.INT8])
def test_the_best_way_of_a_wide_network_is_the_cards_own(make_light_field, precision):
    info = CudaFactory().build(make_light_field(width=256), precision, "cuda").info
    assert info.fallback == ""
    fusion = _fusions()[0]
    assert fusion is not None
    assert f"fused by {fusion.name}" in info.kernel


def test_a_failing_kernel_gives_way_to_cublas(light_field, monkeypatch):
    network = cuda_engine.DeviceNetwork

    def no_compiler(light_field, precision, encoder, fusion):
        if fusion is not None:
            raise RuntimeError("Failed to find C compiler.\nDetails")
        return network(light_field, precision, encoder, fusion)

    monkeypatch.setattr(cuda_engine, "DeviceNetwork", no_compiler)
    info = CudaFactory().build(light_field, Precision.BF16, "cuda").info
    assert "cuBLAS layer by layer" in info.kernel
    assert "Failed to find C compiler" in info.fallback


def test_memory_that_runs_out_is_one_error(light_field, monkeypatch):
    # More than any card has: the allocator refuses, nothing is touched.
    monkeypatch.setattr(CudaEngine, "tile_rays", 2**34)
    with pytest.raises(EngineError, match="memory is used up"):
        CudaEngine(light_field, Precision.FP32, _WithoutHostMemory(), None)
    monkeypatch.undo()
    CudaFactory().build(light_field, Precision.FP32, "cuda")


class _WithoutHostMemory:
    """The GPU, but for the host's memory, of which so much must not be asked for."""

    def __init__(self) -> None:
        self._device = cuda_device()

    def __getattr__(self, name):
        return getattr(self._device, name)

    def host_memory(self, *shape, dtype=torch.float32):
        return torch.empty(1, dtype=dtype)


def test_fp16_that_overflows_is_noticed(make_light_field, scene_rays):
    light_field = make_light_field(depth=8, width=64)
    tensors = dict(light_field.tensors)
    tensors["head.0.bias"] = tensors["head.0.bias"] + 6e4
    tensors["body.0.body.2.bias"] = tensors["body.0.body.2.bias"] + 2e4
    hot = replace(light_field, tensors=tensors)
    with pytest.raises(EngineError, match="exceed 65,504"):
        CudaFactory().build(hot, Precision.FP16, "cuda")
