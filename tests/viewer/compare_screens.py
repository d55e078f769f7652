"""Renders the window in every way of comparing, for people to look at, and names cut-off texts.

    python tests/viewer/compare_screens.py OUT [--size 1280x720] [--renders FOLDER]

writes OUT/<scheme>-<view>.png. `--renders`: PNG files of one size named after precisions, such as
bf16.png and int8.png; without it, pictures that only look rendered. Set QT_SCALE_FACTOR=2 for a
screen with small pixels.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import imageio.v3 as iio
import numpy as np
from PyQt6 import sip
from PyQt6.QtCore import QEventLoop, QPointF, QSettings, Qt, QTimer
from PyQt6.QtGui import QPainter, QPixmap
from PyQt6.QtWidgets import QAbstractButton, QApplication, QDialog, QDockWidget, QLabel

from r2l_core.geometry.camera import Camera
from r2l_core.geometry.scene import PRESETS
from r2l_core.images.difference import DifferenceKind, difference_map
from r2l_core.render.frames import Frame, FrameTimings
from r2l_core.types import Availability, EngineInfo, Precision
from tests.viewer.first_hour_screens import first_hour
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import NOTHING, SCENE_TRUTH, TRUTH, CompareMode, PaneChoice
from viewer.state.preferences import Preferences
from viewer.widgets import theme
from viewer.widgets.controls.elided_label import ElidedLabel
from viewer.widgets.panels.divergence_plot import DivergenceLine, DivergenceReadout
from viewer.widgets.panels.layer_bars import LayerSensitivity
from viewer.widgets.panels.metrics_panel import MetricsReadout, PairMetrics
from viewer.window.main_window import MainWindow

SHOWN = (Precision.BF16, Precision.INT8, Precision.INT8_STATIC_SIM, Precision.FP32)
_ENGINES = {Precision.INT8: "openvino"}
_GONE = "ckpt cannot be shown: there is no such file"
_TIMES_MS = (1184.0, 562.0, 2310.0, 1730.0)


def synthetic(size_px: int, precision: Precision) -> np.ndarray:
    """uint8 (size, size, 3): shaded spheres on white, with the noise of a precision."""
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px - 0.5
    image = np.ones((size_px, size_px, 3))
    for cx, cy, r, color in (
        (-0.15, 0.08, 0.22, (0.85, 0.35, 0.2)),
        (0.17, 0.12, 0.16, (0.2, 0.5, 0.75)),
        (0.05, -0.17, 0.13, (0.9, 0.75, 0.25)),
    ):
        height = np.sqrt(np.maximum(r * r - (x - cx) ** 2 - (y - cy) ** 2, 0)) / r
        light = np.clip(0.25 + 0.8 * height - 0.6 * (x - cx + y - cy) / r, 0, 1)
        image = np.where((height > 0)[..., None], light[..., None] * np.array(color), image)
    strength = {Precision.FP32: 0.0, Precision.BF16: 0.4, Precision.INT8: 1.0}.get(precision, 5.0)
    noise = np.random.default_rng(7).normal(0, strength, image.shape)
    noise *= (image < 1).any(axis=2, keepdims=True) * (0.4 + 1.2 * (1 - image))
    pixels = np.clip(np.rint(image * 255 + noise), 0, 255).astype(np.uint8)
    pixels.flags.writeable = False
    return pixels


def make_frames(
    count: int, size_px: int = 200, seq: int = 1, stride: int = 1, renders: Path | None = None
) -> list[Frame]:
    """Frames of the first `count` precisions, as a renderer would give them for one camera."""
    camera, frames = None, []
    for precision, elapsed_ms in zip(SHOWN[:count], _TIMES_MS, strict=False):
        if renders is None:
            image = synthetic(size_px, precision)
        else:
            image = np.ascontiguousarray(iio.imread(renders / f"{precision}.png")[..., :3])
        camera = camera or Camera(np.eye(4), image.shape[1], image.shape[0], 277.0)
        info = EngineInfo(
            _ENGINES.get(precision, "torch"), precision, "cpu", "bf16", "bf16 × bf16", "oneDNN", 1
        )
        frames.append(Frame(seq, 1, camera, image, stride, 10, FrameTimings(), elapsed_ms, info))
    return frames


METRICS = MetricsReadout(
    (
        PairMetrics("A", "B", "bf16", "int8", 50.61, 0.9987, 0.0041, 6, 0.412, 31.5, "no weights"),
        PairMetrics("C", "B", "int8-static-sim", "int8", 26.2, 0.9121, 0.0712, 97, 7.21, 88.4, 0.1),
        PairMetrics("D", "B", "fp32", "int8", 51.02, 0.9989, 0.0038, 5, 0.398, 30.9, 0.0012),
    )
)
LAYERS = tuple(
    LayerSensitivity(
        f"body.{at // 2}.{'first' if at % 2 == 0 else 'second'}",
        32 + 14 * np.sin(at / 9) + 9 * np.cos(at * 2.3) - (20 if at in (5, 61) else 0),
        high=at in (5, 61),
    )
    for at in range(88)
)
DIVERGENCE = DivergenceReadout(
    87,
    112,
    tuple(
        DivergenceLine(name, tuple(start * (1 + at / 8) ** power for at in range(43)))
        for name, start, power in (
            ("bf16", 1.5e-3, 0.6),
            ("int8", 4e-3, 0.5),
            ("int8-static-sim", 9e-3, 1.5),
        )
    ),
)


def settle(milliseconds: int = 230) -> None:
    """Let layouts, timers and paints happen."""
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def cut_off(window: MainWindow) -> list[str]:
    """Texts of buttons and labels that can be seen but have not enough room."""
    found = []
    for kind in (QAbstractButton, QLabel):
        for one in window.findChildren(kind):
            text = one.text()
            plain = text and not (isinstance(one, QLabel) and (one.wordWrap() or "<" in text))
            if not plain or one.visibleRegion().isEmpty() or isinstance(one, ElidedLabel):
                continue
            if one.fontMetrics().horizontalAdvance(text) > one.contentsRect().width():
                found.append(text)
    return found


class Studio:
    """A window full of fake results."""

    def __init__(
        self, folder: Path, settings: QSettings, width: int, height: int, renders: Path | None
    ) -> None:
        self._folder, self._renders = folder, renders
        settings.setValue("hint_seen", True)
        self.window = window = MainWindow(Preferences(settings))
        self._offers = {p: Availability(True) for p in Precision}
        self._offers[Precision.FP16] = Availability(False, "this processor has no FP16 arithmetic")
        window.show_scene(PRESETS["demo"], "demo", "88 layers of 256, 16 samples a ray")
        window.offer_precisions(self._offers, lambda _precision: None)
        window.show_active_precision(Precision.BF16)
        window.camera.show_orbit(PRESETS["demo"].home(), 39.6)
        self.offer()
        window.resize(width, height)
        window.show()
        self.frames(1)
        window.show_engine(window.pane.frame.engine)
        window.compare.metrics.show_readout(METRICS)
        window.compare.layers.show_layers(LAYERS)
        window.compare.divergence.show_readout(DIVERGENCE)

    def offer(self, scene_truth: bool = False) -> None:
        """Say what panes can show; `scene_truth`: beside the truth of a dataset."""
        engines = dict.fromkeys(Precision, ("torch", "openvino"))
        truths = dict.fromkeys(
            (TRUTH, SCENE_TRUTH) if scene_truth else (TRUTH,), Availability(True)
        )
        self.window.compare.panes.set_offers(self._offers, truths, engines, self._offers)

    def close_dialogs(self) -> None:
        """Close whatever asks something."""
        for dialog in self.window.findChildren(QDialog):
            dialog.reject()

    def picture(self) -> QPixmap:
        """The window, with its dialogs in the middle."""
        window = self.window.grab()
        painter = QPainter(window)
        for dialog in self.window.findChildren(QDialog):
            if dialog.isVisible():
                over, size = dialog.grab(), dialog.size()
                left = (self.window.width() - size.width()) // 2
                painter.drawPixmap(left, (self.window.height() - size.height()) // 2, over)
        painter.end()
        return window

    def frames(self, count: int, stride: int = 1) -> None:
        """Show that many panes."""
        window = self.window
        frames = make_frames(count, stride=stride, renders=self._renders)
        shown = [frame.engine.precision for frame in frames]
        window.compare.panes.show_panes([PaneChoice(one) for one in shown])
        window.compare.view.show_panes([str(one) for one in shown])
        window.compare.view.show_frames(frames)

    def light_fields(self) -> None:
        """Show the open light field, another, one whose file is gone, and the truth."""
        compare = self.window.compare
        a, b, c, d = make_frames(4, renders=self._renders)
        truth = replace(d.engine, engine=TRUTH)
        nothing = replace(c.engine, engine=NOTHING)
        compare.view.show_frames(
            [
                replace(a, light_field="demo"),
                replace(b, light_field="a light field with a long name"),
                replace(c, engine=nothing, light_field="ckpt", why_blank=_GONE),
                replace(d, engine=truth),
            ]
        )
        compare.panes.set_light_fields("demo", [])
        compare.panes.show_panes(
            [
                PaneChoice(Precision.BF16),
                PaneChoice(Precision.INT8, checkpoint="/data/a light field with a long name.tar"),
                PaneChoice(Precision.INT8_STATIC_SIM, checkpoint="/data/ckpt.tar"),
                PaneChoice(TRUTH),
            ]
        )
        compare.metrics.show_readout(replace(METRICS, missing=(("C", _GONE),)))

    def mode(self, mode: CompareMode) -> None:
        """Compare in that way."""
        self.window.compare.view.set_mode(mode)

    def raise_dock(self, name: str) -> None:
        """Bring a panel to the front."""
        for dock in self.window.findChildren(QDockWidget):
            if dock.windowTitle() == name:
                dock.raise_()

    def difference(self, kind: DifferenceKind, **options) -> None:
        """Show that kind, also where its map would come from elsewhere."""
        compare = self.window.compare
        compare.difference.set_options(DifferenceOptions(kind, **options))
        if not kind.quick:
            a, b = compare.view.pane.frames[:2]
            values = difference_map(DifferenceKind.ABSOLUTE, a.image, b.image) ** 0.7
            values[60:62, 40:80] = np.nan
            compare.view.set_map(kind, values, a, b)

    def point(self, x: float, y: float) -> None:
        """Hold the pointer over a part of the picture."""
        pane = self.window.pane
        pane.pointed.emit(QPointF(pane.width() * x, pane.height() * y))

    def views(self) -> dict[str, Callable[[], None]]:
        """What to show for each picture, each going on from the one before."""
        pane = self.window.pane

        def side(count: int) -> None:
            self.mode(CompareMode.SIDE)
            self.frames(count)
            self.raise_dock("Difference")
            self.point(0.3, 0.4)

        def light_fields() -> None:
            self.mode(CompareMode.SIDE)
            self.light_fields()

        def wipe() -> None:
            self.frames(2)
            self.mode(CompareMode.WIPE)
            pane.move_divider(0.08)

        def flip() -> None:
            self.mode(CompareMode.FLIP)
            pane.show_b(True)
            self.raise_dock("Layers")

        def difference() -> None:
            self.mode(CompareMode.DIFFERENCE)
            self.difference(DifferenceKind.ABSOLUTE)
            self.raise_dock("Difference")
            self.point(0.4, 0.6)

        def zoomed(kind: DifferenceKind) -> None:
            self.difference(kind)
            pane.show_scale(48.0 if kind is DifferenceKind.SIGNED else 24.0)

        def values() -> None:
            self.mode(CompareMode.SIDE)
            pane.show_scale(48.0)

        def single() -> None:
            pane.fit()
            self.mode(CompareMode.SINGLE)
            self.raise_dock("Performance")

        return {
            "single": single,
            "side2": lambda: side(2),
            "side3": lambda: side(3),
            "side4": lambda: side(4),
            "light-fields": light_fields,
            "wipe": wipe,
            "flip": flip,
            "difference": difference,
            "signed": lambda: self.difference(DifferenceKind.SIGNED),
            "flip-map": lambda: self.difference(DifferenceKind.FLIP, gain=16.0, locked=True),
            "values-difference": lambda: zoomed(DifferenceKind.SIGNED),
            "values": values,
            **first_hour(self),
        }

    def shoot(self, scheme: str, only: list[str]) -> None:
        """Write every view."""
        theme.choose(Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light)
        for name, show in self.views().items():
            show()
            if not only or name in only:
                settle()
                for text in cut_off(self.window):
                    print(f"{scheme}-{name}: {text!r} is cut off")
                self.picture().save(str(self._folder / f"{scheme}-{name}.png"))


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--renders", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--schemes", nargs="*", default=["dark", "light"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    app = QApplication(sys.argv[:1])
    theme.install(app)
    width, height = (int(one) for one in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        settings = QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat)
        studio = Studio(options.out, settings, width, height, options.renders)
        for scheme in options.schemes:
            studio.shoot(scheme, options.only)
        # Before the application goes, without which no window can.
        sip.delete(studio.window)
    return 0


if __name__ == "__main__":
    sys.exit(main())
