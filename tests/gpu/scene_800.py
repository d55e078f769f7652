"""Writes the demo's scene with pictures of 800x800, for the window's tour."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from r2l_core.geometry.scene import load_scene


def main() -> None:
    side_px = int(sys.argv[2]) if len(sys.argv) > 2 else 800
    scene = replace(load_scene("demo"), width_px=side_px, height_px=side_px)
    Path(sys.argv[1]).write_text(scene.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
