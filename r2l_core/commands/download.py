"""`download`: published models and data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from r2l_core.checkpoints.download import CATALOGUE, UNPUBLISHED, fetch
from r2l_core.checkpoints.unpacking import unpack
from r2l_core.commands.shared import Subparsers, json_option
from r2l_core.errors import DownloadError
from r2l_core.files import write_json


def add(commands: Subparsers) -> None:
    """Declare the command and its flags."""
    known = "; ".join(f"{name}: {asset.description}" for name, asset in CATALOGUE.items())
    download = commands.add_parser(
        "download",
        help="published models and data",
        description="Fetches and unpacks what the authors of R2L have published, to where their "
        "scripts expect it.",
        examples=[("The eight Blender scenes' networks", "r2l-blender --out published")],
    )
    download.add_argument("name", metavar="NAME", help=known)
    download.add_argument(
        "--out",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where the published scripts would be run (.)",
    )
    json_option(download)
    download.set_defaults(command=_download)


def _download(options: argparse.Namespace) -> int:
    asset = CATALOGUE.get(options.name)
    if asset is None:
        raise DownloadError(
            f"There is no download '{options.name}'",
            UNPUBLISHED.get(options.name, "no published file goes by that name"),
            f"Choose one of {', '.join(CATALOGUE)}.",
        )
    folder = options.out / asset.folder
    with tqdm(unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr) as bar:

        def progress(have: int, total: int | None) -> None:
            bar.total = total
            bar.update(have - bar.n)

        file, digest = fetch(asset, folder, progress)
    print(f"{file}: {file.stat().st_size} bytes, SHA-256 {digest}")
    files = unpack(file, folder)
    print(f"{files} files are in {folder}")
    if options.json:
        write_json(
            options.json,
            {
                "url": asset.url,
                "file": str(file),
                "size_bytes": file.stat().st_size,
                "sha256": digest,
                "unpacked_into": str(folder),
                "files": files,
            },
        )
    return 0
