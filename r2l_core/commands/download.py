"""`download`: published models and data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from r2l_core.checkpoints.download import CATALOGUE, UNPUBLISHED, fetch, is_trusted, trust
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
    download.add_argument(
        "--sha256", metavar="HEX", help="what the file has to be, where its publisher does not say"
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
    if options.sha256 is not None or not is_trusted(asset, file, digest):
        _ask(file, digest, options.sha256)
        trust(file, digest)
    folder = file.with_suffix("")
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


def _ask(file: Path, digest: str, given: str | None) -> None:
    """Have a person stand for a file of which no publisher states what it should be. Raises
    DownloadError where nobody does."""
    why, remedy = "nobody stands for it", "Look at it, or remove it."
    if given is not None:
        if given.lower() == digest:
            return
        why = f"its SHA-256 is {digest}, and --sha256 says {given}"
    elif sys.stdin is not None and sys.stdin.isatty():
        print("Its publisher does not state what that should be. Unpack it? [y/N] ", end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    else:
        why = f"its publisher does not state its SHA-256, which is {digest}"
        remedy = f"Compare that with what others have, and run again with --sha256 {digest}."
    raise DownloadError(f"{file} is not unpacked", why, remedy)
