"""Light fields on disk: native `.safetensors` files that open by themselves, and released ones.

The file's header metadata holds `format` = "r2l-light-field", `version` = "1" and three JSON texts:
`network` (NetworkConfig), `scene` (SceneSpec) and `provenance` (how it was made). The tensors bear
the released state-dict names. A quantised light field has a fourth text, `quantization` (recipe and
settings); its 8-bit layers are stored as an int8 `NAME.weight` with `NAME.weight_scale` (out, 1)
and, for static recipes, `NAME.input_amax` () and `NAME.smooth` (in,). In `int8` they have an
`NAME.input_center` (in,) instead, and one int8 `turn_signs` (width,) turns the stream for all
(`model.turning`): their weights and biases are stored turned. A light field whose rays must
not be re-based unasked says so with `rays` = "plain". The format carries no code, so nothing in a
file is ever run; released checkpoints are pickles, which could, and are read by `released`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2l_core import limits
from r2l_core.checkpoints.kinds import HEAD_BYTES, described, is_torch_file
from r2l_core.errors import CheckpointError, system_reason
from r2l_core.files import replacing, shipped_folder
from r2l_core.geometry.scene import SceneSpec
from r2l_core.model.light_field import LightField

if TYPE_CHECKING:
    from torch import Tensor

    from r2l_core.model.nerf import NerfTeacher
    from r2l_core.model.radiance.field import RadianceTeacher

FORMAT = "r2l-light-field"
VERSION = "1"
CHECKPOINTS_DIR = shipped_folder("checkpoints")
_ALIGNMENT = 8
"""Bytes; where the tensors of a file begin, as its format asks."""

NO_SCENE = (
    "No scene was given: the Blender scenes' near {0.near:g}, far {0.far:g}, white background and "
    "camera are assumed."
)
"""Note on a file that does not say where its scene lies; of the SceneSpec that is used."""


def embedded_names() -> list[str]:
    """Names of the light fields that come with the project, such as `demo`."""
    return sorted(path.stem for path in CHECKPOINTS_DIR.glob("*.safetensors"))


def load_light_field(
    name_or_path: str, scene: SceneSpec | None = None, assumed: Mapping[str, Any] | None = None
) -> LightField:
    """Open an embedded light field by name, or a native or released file by path.

    `scene` replaces the one in the file. `assumed`: what a released file does not say about its
    network, see `released.r2l`. Raises CheckpointError with what, why and the remedy.
    """
    opened = load_checkpoint(name_or_path, scene, assumed)
    if not isinstance(opened, LightField):
        raise cannot_open(
            Path(name_or_path),
            f"it is a {opened.kind}, which is no light field: many samples along every ray",
            "Render it with `render`, time it with `bench --teacher`, or train a light field from "
            "it with `distill --teacher`.",
        )
    return opened


def load_checkpoint(
    name_or_path: str, scene: SceneSpec | None = None, assumed: Mapping[str, Any] | None = None
) -> LightField | NerfTeacher | RadianceTeacher:
    """As `load_light_field`, but a NeRF or radiance grid, a teacher, is welcome as well."""
    path, head = _located(name_or_path)
    if is_torch_file(head):
        # Imported here, because it makes what this module defines.
        from r2l_core.checkpoints.released.opening import open_released

        return open_released(path, scene, assumed or {})
    if head[8:9] != b"{":
        raise cannot_open(path, *described(head))
    # Imported here, because they make what this module defines.
    from r2l_core.checkpoints.native import format_of, open_native
    from r2l_core.checkpoints.radiance import FORMAT as RADIANCE_FORMAT
    from r2l_core.checkpoints.radiance import open_radiance

    if format_of(path) == RADIANCE_FORMAT:
        return open_radiance(path, scene)
    return open_native(path, scene, assumed or {})


def load_radiance(name_or_path: str, scene: SceneSpec | None = None) -> RadianceTeacher | None:
    """The radiance grid in a file; None where it is none. Raises CheckpointError."""
    path, head = _located(name_or_path)
    if is_torch_file(head) or head[8:9] != b"{":
        return None
    # Imported here, because they make what this module defines.
    from r2l_core.checkpoints.native import format_of
    from r2l_core.checkpoints.radiance import FORMAT as RADIANCE_FORMAT
    from r2l_core.checkpoints.radiance import open_radiance

    return open_radiance(path, scene) if format_of(path) == RADIANCE_FORMAT else None


def checkpoint_file(name_or_path: str) -> Path:
    """Where an embedded light field or a file lies, whether or not it is there."""
    path = Path(name_or_path)
    try:
        if name_or_path in embedded_names() and not path.is_file():
            return CHECKPOINTS_DIR / f"{name_or_path}.safetensors"
        return path.expanduser()
    except (OSError, ValueError, RuntimeError):  # names no file system takes, homes of nobody
        return path


def is_released(name_or_path: str) -> bool:
    """Whether it is a file of torch, which says little about its scene. Raises CheckpointError."""
    return is_torch_file(_located(name_or_path)[1])


def save_light_field(light_field: LightField, path: Path) -> None:
    """Write a native file, whole or not at all; the same light field gives the same bytes.

    Raises CheckpointError.
    """
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "network": json.dumps(light_field.network.to_dict()),
        "scene": light_field.scene.to_json(),
        "provenance": json.dumps(dict(light_field.provenance)),
    }
    if light_field.plain_rays:
        metadata["rays"] = "plain"
    # Imported here, like all that needs torch: a first picture is made without.
    from r2l_core.checkpoints.packing import packed

    quantization = light_field.quantization
    tensors = packed(light_field.tensors, quantization)
    if quantization is not None:
        metadata["quantization"] = json.dumps(
            {"recipe": quantization.recipe, "settings": dict(quantization.settings)}
        )
    what = f"The light field could not be written to {path}"
    with replacing(path, CheckpointError, what) as new:
        new.write_bytes(serialised(tensors, metadata))


def serialised(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A `.safetensors` file; the same values give the same bytes."""
    import safetensors.torch

    data = safetensors.torch.save(dict(tensors), dict(metadata))
    size = int.from_bytes(data[:8], "little")
    # The library writes its metadata in another order every time.
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def reason_of(error: Exception) -> str:
    """A clause that says why a file could not be read or written."""
    return system_reason(error) if isinstance(error, OSError) else str(error)


def cannot_open(path: Path, why: str, remedy: str) -> CheckpointError:
    """The error for a file that cannot be opened: a clause and an imperative sentence."""
    return CheckpointError(f"The light field {path} cannot be opened", why, remedy)


def _located(name_or_path: str) -> tuple[Path, bytes]:
    """Where an embedded light field or a file lies, and its first bytes."""
    path = Path(name_or_path)
    if name_or_path in embedded_names() and not path.is_file():
        path = CHECKPOINTS_DIR / f"{name_or_path}.safetensors"
    try:
        path = path.expanduser()
        if not path.exists():
            names = ", ".join(embedded_names()) or "none"
            raise cannot_open(
                path,
                "there is no such file",
                f"Check the path, or name an embedded light field ({names}).",
            )
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        if not path.is_file():
            raise OSError(22, "it is no regular file")
        if path.stat().st_size > limits.CHECKPOINT_BYTES:
            raise OSError(27, f"it is larger than {limits.CHECKPOINT_BYTES // 1024**3} GiB")
        with path.open("rb") as file:
            return path, file.read(HEAD_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        # ValueError and RuntimeError: names that no file system takes, and homes of nobody.
        raise cannot_open(
            path, reason_of(error), "Choose a readable .safetensors or .tar file."
        ) from error
