"""Files as the released code writes them, with its networks formulated anew.

`published()` puts modules of the released names into `sys.modules` for as long as a file is
written, and takes them out again: nothing that opens the file can find them.
"""

from __future__ import annotations

import io
import sys
from argparse import Namespace
from collections import OrderedDict
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import nn

MODULE = "model.nerf_raybased"
ACTIVATIONS = {"relu": nn.ReLU, "lrelu": nn.LeakyReLU}


def _activation(name: str) -> list[nn.Module]:
    return [ACTIVATIONS[name](inplace=True)] if name != "none" else []


class ResMLP(nn.Module):
    """A residual block."""

    def __init__(self, width, trial):
        super().__init__()
        layers = [nn.Linear(width, width)]
        for _ in range(trial.n_learnable - 1):
            layers += [*_activation(trial.inact), nn.Linear(width, width)]
        self.body = nn.Sequential(*layers)
        self.res_scale = trial.res_scale
        self.outact = (_activation(trial.outact) or [None])[0]

    def forward(self, x):
        y = self.body(x) * self.res_scale + x
        return y if self.outact is None else self.outact(y)


class NeRF_v3_2(nn.Module):  # noqa: N801 - the released name
    """Head, residual body, tail; what `args` says."""

    def __init__(self, args, input_dim, output_dim):
        super().__init__()
        self.args = args
        self.input_dim = input_dim
        trial, width = args.trial, args.netwidth
        blocks = trial.n_block if trial.n_block > 0 else (args.netdepth - 2) // 2
        self.head = nn.Sequential(nn.Linear(input_dim, width), *_activation(args.act))
        self.body = nn.Sequential(*(ResMLP(width, trial) for _ in range(blocks)))
        self.tail = nn.Sequential(nn.Linear(width, output_dim), nn.Sigmoid())

    def forward(self, x):
        x = self.head(x)
        body = self.body(x)
        return self.tail(body + x if self.args.use_residual else body)


class NeRF(nn.Module):
    """The usual NeRF, with a skip after layer 4."""

    def __init__(self, depth=8, width=32, octaves=10, view_octaves=4, use_viewdirs=True, skip=4):
        super().__init__()
        inputs = 3 + 6 * octaves
        self.inputs, self.skip, self.use_viewdirs = inputs, skip, use_viewdirs
        view_inputs = 3 + 6 * view_octaves if use_viewdirs else 0
        self.pts_linears = nn.ModuleList(
            nn.Linear(inputs if k == 0 else width + inputs * (k == skip + 1), width)
            for k in range(depth)
        )
        self.views_linears = nn.ModuleList([nn.Linear(view_inputs + width, width // 2)])
        if use_viewdirs:
            self.feature_linear = nn.Linear(width, width)
            self.alpha_linear = nn.Linear(width, 1)
            self.rgb_linear = nn.Linear(width // 2, 3)
        else:
            self.output_linear = nn.Linear(width, 5)

    def forward(self, points, views):
        h = points
        for k, layer in enumerate(self.pts_linears):
            h = layer(h).clamp_min(0)
            if k == self.skip and k + 1 < len(self.pts_linears):
                h = torch.cat([points, h], -1)
        if not self.use_viewdirs:
            return self.output_linear(h)[..., :4]
        color = torch.cat([self.feature_linear(h), views], -1)
        color = self.rgb_linear(self.views_linears[0](color).clamp_min(0))
        return torch.cat([color, self.alpha_linear(h)], -1)


CLASSES = (ResMLP, NeRF_v3_2, NeRF)


@contextmanager
def published():
    """Pickle the classes above as those of the released code."""
    package, module = ModuleType("model"), ModuleType(MODULE)
    module.__file__ = __file__  # the legacy format keeps the source text of classes
    before = {cls: cls.__module__ for cls in CLASSES}
    for cls in CLASSES:
        cls.__module__ = MODULE
        setattr(module, cls.__name__, cls)
    sys.modules |= {"model": package, MODULE: module}
    try:
        yield
    finally:
        del sys.modules["model"], sys.modules[MODULE]
        for cls, name in before.items():
            cls.__module__ = name


def arguments(**changes) -> Namespace:
    """The options of a released training run; names with a dot are those of `trial`."""
    trial = {
        "ON": True,
        "body_arch": "resmlp",
        "res_scale": 1.0,
        "n_learnable": 2,
        "inact": "relu",
        "outact": "none",
        "n_block": -1,
        "near": -1,
        "far": -1,
    }
    options = {
        "netdepth": 8,
        "netwidth": 16,
        "n_sample_per_ray": 8,
        "multires": 10,
        "use_residual": True,
        "act": "relu",
        "linear_tail": False,
        "layerwise_netwidths": "",
        "plucker": False,
        "learn_depth": "",
        "hard_ratio": [0.2, 0.3],
        "n_pose_video": ["20", "1", "1"],
        "ft_path": None,
        "lrate": 5e-4,
    }
    for name, value in changes.items():
        where, key = (trial, name[6:]) if name.startswith("trial_") else (options, name)
        where[key] = value
    return Namespace(**options, trial=Namespace(**trial))


def input_size(args: Namespace) -> int:
    """Encoded features of a ray."""
    coordinates = 6 if args.plucker else 3 * args.n_sample_per_ray
    return coordinates * (2 * args.multires + 1)


def student(args: Namespace, seed: int = 0, outputs: int = 3) -> NeRF_v3_2:
    """A network whose colours differ from ray to ray."""
    torch.manual_seed(seed)
    network = NeRF_v3_2(args, input_size(args), outputs)
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.mul_(0.5 if name.startswith("body") else 4.0)
    return network.eval()


def teacher(seed: int = 0, **shape) -> NeRF:
    """A NeRF that is neither empty nor opaque."""
    torch.manual_seed(seed)
    network = NeRF(**shape)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(2.0)
        density = network.alpha_linear if network.use_viewdirs else network.output_linear
        density.bias[-1 if network.use_viewdirs else 3] = 0.5
    return network.eval()


def checkpoint(network: NeRF_v3_2, module: bool = True) -> dict:
    """What the released `save_ckpt` writes, optimizer included."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0)  # has a state, changes nothing
    network(torch.zeros(1, network.input_dim)).sum().backward()
    optimizer.step()
    network.zero_grad(set_to_none=True)
    saved = {
        "global_step": 1200,
        "best_psnr": 31.5,
        "best_psnr_step": 1000,
        "network_fn_state_dict": network.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    if module:
        saved["network_fn"] = network
    return saved


def teacher_checkpoint(coarse: NeRF, fine: NeRF | None) -> dict:
    """What the released code writes of a NeRF."""
    saved = {"global_step": 200_000, "network_fn_state_dict": coarse.state_dict()}
    if fine is not None:
        saved["network_fine_state_dict"] = fine.state_dict()
    return saved


def prefixed(state: OrderedDict) -> OrderedDict:
    """As parallel training names weights."""
    return OrderedDict((f"module.{name}", tensor) for name, tensor in state.items())


def file_bytes(saved, legacy: bool = False, location: str = "cpu", **options) -> bytes:
    """The file that `torch.save` makes of it; `location` is what it says of its tensors."""
    buffer = io.BytesIO()
    tag = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: location
    try:
        with published():
            torch.save(saved, buffer, _use_new_zipfile_serialization=not legacy, **options)
    finally:
        torch.serialization.location_tag = tag
    return buffer.getvalue()
