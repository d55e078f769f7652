"""Named weights of a checkpoint: what they are is known before any of them is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from r2l_core.checkpoints.released.archive import Archive
from r2l_core.checkpoints.released.stand_ins import NUMPY_ARRAY, Record, Refused, TensorRef

_FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


_FIRST = ("head.0.weight", "pts_linears.0.weight")
"""The first weight of a light field and of a NeRF: what stands before it stands before all."""

_WRAPPERS = re.compile(
    r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|module)\."
)
"""What torch.compile, DataParallel and other wrappings put into names, at any level."""

_COUNTERS = ("n_averaged", "initted", "step", "num_updates")
"""What averages of weights, such as torch's AveragedModel, keep among them."""

_AS_TENSORS = "Save tensors, torch.from_numpy(...) of each, and open those."


def has_weights(values: Any) -> bool:
    """Whether this is a state dict of a light field or a NeRF, whatever stands before its names."""
    return isinstance(values, dict) and any(
        isinstance(name, str)
        and (isinstance(value, TensorRef) or _is_array(value))
        and _WRAPPERS.sub("", name).endswith(_FIRST)
        for name, value in values.items()
    )


def _is_array(value: Any) -> bool:
    return isinstance(value, Record) and value.kind == NUMPY_ARRAY


@dataclass(frozen=True, eq=False)
class StateDict:
    """Weights that lie in an archive. `field`: where in the checkpoint, for messages. `notes`:
    sentences on what else was there."""

    field: str
    references: Mapping[str, TensorRef]
    archive: Archive
    file_bytes: int
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(archive: Archive, values: Any, field: str, file_bytes: int) -> StateDict:
        """The state dict `values`, without the prefixes that training programs put before names.

        What lies beside the network under another prefix, such as a loss, is left out. Raises
        Refused where it is none.
        """
        if not isinstance(values, dict) or not values:
            raise Refused(f"its {field} is no state dict")
        values = {
            name: value
            for name, value in values.items()
            if str(name).rpartition(".")[2] not in _COUNTERS
        }
        for name, value in values.items():
            if isinstance(name, str) and _is_array(value):
                raise Refused(f"its {field} has {name[:80]} as an array of NumPy", _AS_TENSORS)
            if not isinstance(name, str) or not isinstance(value, TensorRef):
                raise Refused(f"its {field} has {str(name)[:80]}, which is no tensor")
        plain = [_WRAPPERS.sub("", name) for name in values]
        prefixes = [
            name.removesuffix(first) for first in _FIRST for name in plain if name.endswith(first)
        ]
        prefix, *others = prefixes or [""]
        references: dict[str, TensorRef] = {}
        for name, value in zip(plain, values.values(), strict=True):
            if not name.startswith(prefix):
                continue
            if name.removeprefix(prefix) in references:
                raise Refused(f"its {field} has {name[:80]} twice")
            references[name.removeprefix(prefix)] = value
        notes: tuple[str, ...] = ()
        if others:
            listed = ", ".join(repr(one[:40]) for one in others[:3])
            notes = (
                f"Its {field} holds several networks: the one whose names begin with "
                f"{prefix[:40]!r} is taken; others begin with {listed}.",
            )
        return StateDict(field, references, archive, file_bytes, notes)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a matrix of weights. Raises Refused where it is missing or none."""
        if name not in self.references:
            raise Refused(f"its {self.field} has no {name}")
        shape = self.references[name].shape
        if len(shape) != 2:
            raise Refused(f"{name} in its {self.field} has the shape {shape}")
        return shape

    def read(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The weights as float32, which must be exactly those of `shapes`. Raises Refused."""
        references = self.references
        for name in sorted({*shapes, *references}):
            if name not in references:
                raise Refused(f"its {self.field} has no {name[:80]}")
            if name not in shapes:
                raise Refused(f"its {self.field} has {name[:80]}, which the network does not")
            if references[name].shape != shapes[name]:
                raise Refused(
                    f"{name} in its {self.field} has the shape {references[name].shape} instead of "
                    f"{shapes[name]}"
                )
            if references[name].storage.dtype not in _FLOATING:
                raise Refused(
                    f"{name} in its {self.field} is of type {references[name].storage.dtype}",
                    "Save it as float32 or float16.",
                )
        # Many tensors that share one storage could claim any size.
        claimed = sum(ref.numel * ref.storage.dtype.itemsize for ref in references.values())
        if claimed > self.file_bytes:
            raise Refused(f"the tensors of its {self.field} claim more than the file holds")
        stored = self.archive.tensors({name: references[name] for name in shapes})
        tensors = {name: tensor.to(torch.float32) for name, tensor in stored.items()}
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise Refused(f"{name} in its {self.field} holds NaN or infinite values")
        return tensors
