"""The panels of the compare view: what they show, and what they report."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from PyQt6.QtGui import QAction, QGuiApplication, QImage, QMouseEvent
from PyQt6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QMenu, QSlider

from r2l_core.images.difference import DifferenceKind
from r2l_core.types import Availability, Precision
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import TRUTH
from viewer.widgets import theme
from viewer.widgets.compare.color_bar import ColorBar
from viewer.widgets.compare.difference_scale import DifferenceReadout
from viewer.widgets.compare.pane_setup import PaneChoice, PaneSetup
from viewer.widgets.controls.value_spin import ValueSpin
from viewer.widgets.controls.wording import distinct_names
from viewer.widgets.panels.difference_panel import DifferencePanel
from viewer.widgets.panels.divergence_plot import DivergenceLine, DivergencePlot, DivergenceReadout
from viewer.widgets.panels.layer_bars import LayerBars, LayerSensitivity
from viewer.widgets.panels.metrics_panel import MetricsPanel, MetricsReadout, PairMetrics
from viewer.widgets.panels.sensitivity_strip import SensitivityStrip


def places_of(bars: LayerBars) -> dict[str, QRect]:
    """Where the pointer is told of each layer, in the order in which a sweep meets them."""
    places: dict[str, QRect] = {}
    said: list[str] = []
    bars.pointed.connect(said.append)
    for y in range(5, bars.height(), 20):
        for x in range(bars.width()):
            at = QPointF(x, y)
            move = QMouseEvent(
                QEvent.Type.MouseMove,
                at,
                at,
                Qt.MouseButton.NoButton,
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(bars, move)
            if said and said[-1]:
                name = said[-1].split(", ")[1].split(":")[0]
                places[name] = places.get(name, QRect()).united(QRect(x, y, 1, 1))
    bars.pointed.disconnect(said.append)
    return places


def texts(widget) -> list[str]:
    return [one.text() for one in widget.findChildren(QLabel) if one.isVisibleTo(widget)]


def button(widget, text: str) -> QAbstractButton:
    return next(one for one in widget.findChildren(QAbstractButton) if one.text() == text)


class TestDifferencePanel:
    @pytest.fixture
    def panel(self, qtbot) -> DifferencePanel:
        panel = DifferencePanel()
        qtbot.addWidget(panel)
        panel.show()
        return panel

    @pytest.fixture
    def told(self, panel) -> list[DifferenceOptions]:
        told: list[DifferenceOptions] = []
        panel.options_changed.connect(told.append)
        return told

    def combos(self, panel) -> tuple[QComboBox, QComboBox]:
        kind, scale = panel.findChildren(QComboBox)
        return kind, scale

    def test_it_says_whether_it_is_seen(self, panel):
        told: list[bool] = []
        panel.seen_changed.connect(told.append)
        panel.hide()
        panel.show()
        assert told == [False, True]

    def test_every_kind_and_colours_that_suit_it(self, panel, told):
        kind, scale = self.combos(panel)
        assert [kind.itemData(at) for at in range(kind.count())] == list(DifferenceKind)
        assert scale.currentText() == "Inferno"
        kind.activated.emit(kind.findData(DifferenceKind.SIGNED))
        assert told[-1].kind is DifferenceKind.SIGNED
        assert "red" in scale.currentText()
        scale.activated.emit(1)
        kind.activated.emit(kind.findData(DifferenceKind.FLIP))
        assert scale.currentText() == "Inferno"
        assert told[-1].signed_scale == scale.itemText(1) or "white" in told[-1].signed_scale

    def test_setting_a_gain_locks_the_scale(self, panel, told):
        panel.findChild(QSlider).setValue(24)
        assert told == [DifferenceOptions(gain=8.0, locked=True)]
        assert panel.findChild(ValueSpin).value() == 8.0
        panel.findChild(ValueSpin).setValue(256.0)
        assert told[-1].gain == 256.0
        assert panel.findChild(QSlider).value() == 64
        button(panel, "Lock").click()
        assert not told[-1].locked

    def test_the_lock_keeps_the_scale_there_is(self, panel, told):
        panel.show_readout(DifferenceReadout(DifferenceKind.ABSOLUTE, 1 / 32, (3, 2), 0, 0, 5))
        button(panel, "Lock").click()
        assert told == [DifferenceOptions(gain=32.0, locked=True)]

    def test_a_locked_scale_outlives_a_change_of_kind(self, panel, told):
        panel.findChild(QSlider).setValue(16)
        kind, _ = self.combos(panel)
        kind.activated.emit(kind.findData(DifferenceKind.SQUARED))
        assert (told[-1].gain, told[-1].locked) == (4.0, True)

    def test_showing_reports_nothing(self, qtbot, panel):
        with qtbot.assertNotEmitted(panel.options_changed):
            panel.show_readout(DifferenceReadout(DifferenceKind.SIGNED, 0.125, (1, 4), 2, 3, 10))
        assert panel.findChild(ValueSpin).value() == 8.0
        assert "2 (20.00 %) clipped" in texts(panel)
        assert "3 NaN" in texts(panel)
        plot = panel.findChild(pg.PlotWidget)
        (bars,) = [one for one in plot.plotItem.items if isinstance(one, pg.BarGraphItem)]
        assert len(bars.opts["height"]) == 2
        panel.show_readout(None)
        assert "– clipped" in texts(panel)
        assert len(bars.opts["height"]) == 0

    def test_bars_are_logarithms_and_a_single_pixel_shows(self, panel):
        counts = (100_000, 1000, 1, 0)
        panel.show_readout(
            DifferenceReadout(DifferenceKind.ABSOLUTE, 1 / 64, counts, 0, 0, 101_001)
        )
        plot = panel.findChild(pg.PlotWidget)
        (bars,) = [one for one in plot.plotItem.items if isinstance(one, pg.BarGraphItem)]
        heights = bars.opts["height"]
        assert heights[3] == 0
        assert heights[2] > 0
        assert heights[0] - heights[1] == pytest.approx(2)


class TestColorBar:
    def colors(self, bar: ColorBar) -> np.ndarray:
        image = bar.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
        line = [image.pixelColor(x, 4) for x in range(image.width())]
        return np.array([[one.red(), one.green(), one.blue()] for one in line])

    def test_it_goes_from_nothing_to_much_and_marks_what_is_beyond(self, qtbot):
        bar = ColorBar()
        qtbot.addWidget(bar)
        bar.resize(200, bar.sizeHint().height())
        colors = self.colors(bar)
        assert colors[16].max() < 40
        assert colors[180].min() > 100
        assert tuple(colors[195]) == (0xFF, 0x2E, 0xE6)
        assert tuple(colors[5]) != (0xFF, 0x2E, 0xE6)
        bar.show_scale(DifferenceOptions(DifferenceKind.SIGNED), 0.5)
        assert tuple(self.colors(bar)[5]) == (0xFF, 0x2E, 0xE6)
        assert "−128 to +128 levels" in bar.toolTip()


METRICS = MetricsReadout(
    (
        PairMetrics("A", "B", "fp32", "int8", 50.614, 0.99871, 0.0041, 6.0, 0.4123, 31.456),
        PairMetrics("A", "C", "fp32", "truth", float("inf"), "the image is too small"),
    )
)


class TestMetricsPanel:
    @pytest.fixture
    def panel(self, qtbot) -> MetricsPanel:
        panel = MetricsPanel()
        qtbot.addWidget(panel)
        panel.show()
        return panel

    def cell(self, panel: MetricsPanel, name: str) -> QLabel:
        return next(one for one in panel.findChildren(QLabel) if one.accessibleName() == name)

    def test_numbers_have_fixed_decimals(self, panel):
        panel.show_readout(METRICS)
        assert self.cell(panel, "PSNR dB A – B").text() == "50.61"
        assert self.cell(panel, "SSIM  A – B").text() == "0.9987"
        assert self.cell(panel, "Pixels off % A – B").text() == "31.46"
        assert self.cell(panel, "PSNR dB A – C").text() == "identical"

    def test_what_is_missing_says_why(self, panel):
        panel.show_readout(METRICS)
        assert self.cell(panel, "SSIM  A – C").text() == "–"
        assert self.cell(panel, "SSIM  A – C").toolTip() == "the image is too small"
        assert any("SSIM: the image is too small." in text for text in texts(panel))
        panel.show_readout(replace(METRICS, missing=(("D", "lego cannot be shown: it is gone"),)))
        assert any("D: lego cannot be shown: it is gone.\nSSIM: " in text for text in texts(panel))
        panel.show_readout(MetricsReadout(why_not="passes are not complete"))
        assert "No numbers: passes are not complete." in texts(panel)
        assert not button(panel, "Copy CSV").isEnabled()

    def test_what_is_not_installed_has_no_row(self, panel):
        def rows() -> list[str]:
            return [one.text() for one in panel.findChildren(QLabel) if one.isVisible()]

        panel.show_readout(METRICS)
        assert "FLIP" in rows()
        assert "LPIPS" not in rows()
        assert "LPIPS" not in panel.as_text()
        a, b = METRICS.pairs
        panel.show_readout(replace(METRICS, pairs=(replace(a, lpips=0.01), b)))
        assert "LPIPS" in rows()
        assert "LPIPS" in panel.as_text()

    def test_csv_has_a_row_a_metric(self, qtbot, panel):
        panel.show_readout(METRICS)
        qtbot.mouseClick(button(panel, "Copy CSV"), Qt.MouseButton.LeftButton)
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        rows = list(csv.DictReader(io.StringIO(clipboard.text())))
        values = {row["metric"]: row for row in rows}
        assert len(rows) == 6, "LPIPS is not installed"
        assert float(values["PSNR"]["fp32 vs int8"]) == 50.614
        assert values["PSNR"]["fp32 vs truth"] == "inf"
        assert values["SSIM"]["fp32 vs truth"] == ""
        assert values["Mean error"]["unit"] == "levels"

    def test_text_is_aligned(self, qtbot, panel):
        panel.show_readout(METRICS)
        qtbot.mouseClick(button(panel, "Copy text"), Qt.MouseButton.LeftButton)
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        lines = clipboard.text().splitlines()
        assert "A fp32 – B int8" in lines[0]
        assert lines[1].startswith("PSNR dB")
        assert lines[1].index("50.61") + 5 == lines[0].index("B int8") + 6


class TestDivergencePlot:
    def test_a_line_a_precision_in_its_colour(self, qtbot):
        plot = DivergencePlot()
        qtbot.addWidget(plot)
        plot.show()
        assert "Right-click" in texts(plot)[0]
        plot.show_readout(
            DivergenceReadout(
                3,
                4,
                (
                    DivergenceLine("bf16", (1e-3, 1e-2, 0.0, 1e-1)),
                    DivergenceLine("int8-sim", (1e-2, 1e-1, 1e-1, 1.0)),
                ),
            )
        )
        graph = plot.findChild(pg.PlotWidget)
        lines = [one for one in graph.plotItem.items if isinstance(one, pg.PlotDataItem)]
        np.testing.assert_allclose(lines[0].yData, [-3, -2, np.nan, -1])
        dark = theme.is_dark(plot.palette())
        assert lines[0].opts["pen"].color() == theme.precision_color("bf16", dark)
        assert lines[1].opts["pen"].style() == Qt.PenStyle.DashLine
        seen = texts(plot)
        assert any("Pixel 3, 4" in text for text in seen)
        assert "1.0e-01" in seen
        plot.show_readout(DivergenceReadout(3, 4, why_not="int8 has no layers to look into"))
        assert "Pixel 3, 4: int8 has no layers to look into." in texts(plot)
        assert not graph.isVisible()
        plot.show_readout(None)
        assert "Right-click" in texts(plot)[0]


LAYERS = tuple(LayerSensitivity(f"body.{at}", 20.0 + at, at == 2) for at in range(10))


class TestLayers:
    @pytest.fixture
    def strip(self, qtbot) -> SensitivityStrip:
        strip = SensitivityStrip()
        qtbot.addWidget(strip)
        strip.show_layers(LAYERS)
        strip.resize(300, 200)
        strip.show()
        return strip

    def test_a_click_toggles_a_layer(self, qtbot, strip):
        bars = strip.findChild(LayerBars)
        places = places_of(bars)
        for at, high in ((0, True), (2, False), (9, True)):
            place = places[f"body.{at}"].center()
            with qtbot.waitSignal(strip.layer_toggled) as toggled:
                qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=place)
            assert toggled.args == [f"body.{at}", high]
        with qtbot.assertNotEmitted(strip.layer_toggled):
            qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=QPoint(2, 20))

    def test_the_keyboard_can_do_it_all(self, qtbot, strip):
        bars = strip.findChild(LayerBars)
        toggled: list[str] = []
        strip.layer_toggled.connect(lambda name, high: toggled.append(name))
        for key in (Qt.Key.Key_Right, Qt.Key.Key_Space, Qt.Key.Key_End, Qt.Key.Key_Return):
            qtbot.keyClick(bars, key)
        qtbot.keyClick(bars, Qt.Key.Key_Right)
        qtbot.keyClick(bars, Qt.Key.Key_Space)
        qtbot.keyClick(bars, Qt.Key.Key_Home)
        qtbot.keyClick(bars, Qt.Key.Key_Enter)
        assert toggled == ["body.1", "body.9", "body.9", "body.0"]
        assert "body.0: 20.0 dB, runs in int8" in bars.accessibleDescription()

    @pytest.mark.parametrize("width", [120, 300, 900])
    def test_all_layers_have_a_place_of_their_own(self, qtbot, width):
        bars = LayerBars()
        qtbot.addWidget(bars)
        layers = [LayerSensitivity(f"body.{at}", float(at)) for at in range(88)]
        bars.show_layers(layers)
        bars.resize(width, bars.heightForWidth(width))
        places = places_of(bars)
        assert list(places) == [layer.name for layer in layers]
        for name, place in places.items():
            assert place.width() >= 5
            assert all(not place.intersects(other) for at, other in places.items() if at != name)

    def test_unmeasured_and_perfect_layers_can_be_painted(self, strip):
        strip.show_layers(
            [LayerSensitivity("a", float("nan")), LayerSensitivity("b", float("inf"), True)]
        )
        assert not strip.grab().isNull()
        assert "1 of 2 in fp32" in texts(strip)
        assert LayerSensitivity("a", float("nan")).words == "a: not measured, runs in int8"

    def test_buttons(self, qtbot, strip):
        for text, signal in (
            ("Measure layers", strip.measure_requested),
            ("Keep worst 4 in fp32", strip.worst_requested),
            ("Restore all", strip.restore_requested),
            ("Save mix…", strip.save_requested),
        ):
            with qtbot.waitSignal(signal):
                qtbot.mouseClick(button(strip, text), Qt.MouseButton.LeftButton)
        strip.show_layers((), "No light field is open yet.")
        assert not button(strip, "Save mix…").isEnabled()
        assert not button(strip, "Keep worst 4 in fp32").isEnabled()
        assert "No light field is open yet." in texts(strip)

    def test_what_cannot_be_switched_can_still_be_read(self, qtbot, strip):
        assert "Click a bar to switch it" in texts(strip)
        strip.show_layers(LAYERS, "Choose int8 to switch layers.")
        assert "Click a bar to switch it" not in texts(strip)
        bars = strip.findChild(LayerBars)
        place = places_of(bars)["body.3"].center()
        with qtbot.waitSignal(bars.pointed) as pointed:
            qtbot.mouseMove(bars, place)
        assert pointed.args == ["4 of 10, body.3: 23.0 dB, runs in int8"]
        assert pointed.args[0] in texts(strip)
        with qtbot.assertNotEmitted(strip.layer_toggled):
            qtbot.mouseClick(bars, Qt.MouseButton.LeftButton, pos=place)

    def test_measuring_says_how_far_it_is(self, strip):
        strip.show_progress(0.4)
        assert not button(strip, "Measuring… 40 %").isEnabled()
        strip.show_progress(None)
        assert button(strip, "Measure layers").isEnabled()


@pytest.mark.parametrize(
    ("checkpoints", "names"),
    [
        (["demo", "/a/lego.tar"], ["demo", "lego"]),
        (["/a/lego/ckpt.tar", "/b/chair/ckpt.tar", "/c/x.tar"], ["lego/ckpt", "chair/ckpt", "x"]),
        (["/a/x/ckpt.tar", "/b/x/ckpt.tar"], ["a/x/ckpt", "b/x/ckpt"]),
        (["/a/x.tar", "/a/x.safetensors"], ["x.tar", "x.safetensors"]),
        (["/a/x.tar", "x"], ["a/x", "x"]),
        (["v1.5", "/a/v1.6.safetensors"], ["v1.5", "v1.6"]),
        (["demo", "demo"], ["demo"]),
        ([], []),
    ],
)
def test_names_of_light_fields_differ(checkpoints, names):
    assert list(distinct_names(checkpoints).values()) == names


class TestPaneSetup:
    @pytest.fixture
    def setup(self, qtbot) -> PaneSetup:
        setup = PaneSetup()
        qtbot.addWidget(setup)
        offers = {one: Availability(True) for one in Precision}
        offers[Precision.FP16] = Availability(False, "it has no units for it")
        engines = {Precision.BF16: ("torch", "openvino")}
        setup.set_offers(offers, {TRUTH: Availability(False, "there is none")}, engines, offers)
        setup.show_panes([PaneChoice(Precision.BF16), PaneChoice(Precision.INT8)])
        # The controller shows what is left.
        setup.pane_removed.connect(
            lambda at: setup.show_panes([*setup.panes[:at], *setup.panes[at + 1 :]])
        )
        setup.show()
        return setup

    @pytest.fixture
    def told(self, setup) -> list[tuple[PaneChoice, ...]]:
        told: list[tuple[PaneChoice, ...]] = []
        setup.panes_changed.connect(told.append)
        return told

    def combo(self, setup: PaneSetup, name: str) -> QComboBox:
        return next(one for one in setup.findChildren(QComboBox) if one.accessibleName() == name)

    def test_a_precision_and_an_engine_can_be_chosen(self, setup, told):
        source = self.combo(setup, "What pane B shows")
        source.activated.emit(source.findData(Precision.BF16))
        engine = self.combo(setup, "Engine of pane B")
        engine.activated.emit(engine.findText("openvino"))
        bf16 = PaneChoice(Precision.BF16)
        assert told == [(bf16, bf16), (bf16, PaneChoice(Precision.BF16, "openvino"))]
        assert self.combo(setup, "What pane A shows") is not source

    def test_what_cannot_be_shown_says_why(self, setup):
        source = self.combo(setup, "What pane A shows")
        for name, why in ((Precision.FP16, "no units"), (TRUTH, "there is none")):
            item = source.model().item(source.findText(name))
            assert not item.isEnabled()
            assert why in item.toolTip()
        assert not self.combo(setup, "Engine of pane B").isEnabled()

    def test_panes_come_and_go(self, qtbot, setup, told):
        add = button(setup, "Add a pane")
        for _ in range(3):
            qtbot.mouseClick(add, Qt.MouseButton.LeftButton)
        assert [pane.source for pane in told[-1]] == ["bf16", "int8", "fp32", "int8-static-sim"]
        assert not add.isEnabled()
        for letter in "DBA":
            remove = next(
                one
                for one in setup.findChildren(QAbstractButton)
                if one.accessibleName() == f"Remove pane {letter}" and one.isVisible()
            )
            qtbot.mouseClick(remove, Qt.MouseButton.LeftButton)
        assert [pane.source for pane in setup.panes] == ["fp32"]
        removes = [one for one in setup.findChildren(QAbstractButton) if one.text() == "×"]
        assert not any(one.isEnabled() for one in removes if one.isVisible())

    def test_a_letter_makes_its_pane_the_active_one(self, qtbot, setup):
        with qtbot.waitSignal(setup.active_changed) as active:
            qtbot.mouseClick(button(setup, "B"), Qt.MouseButton.LeftButton)
        assert active.args == [1]

    def test_showing_reports_nothing(self, qtbot, setup, told):
        setup.show_panes([PaneChoice(Precision.FP32), PaneChoice(TRUTH)])
        assert told == []
        assert self.combo(setup, "What pane A shows").currentText() == "fp32"

    def menu(self, setup: PaneSetup, letter: str) -> dict[str, QAction]:
        menus = setup.findChildren(QMenu)
        return {one.text(): one for one in menus["ABCD".index(letter)].actions() if one.text()}

    def test_a_light_field_can_be_chosen(self, qtbot, setup, told, monkeypatch):
        setup.set_light_fields("demo", ["/a/lego/ckpt.tar", "/a/chair/ckpt.tar"])
        menu = self.menu(setup, "B")
        assert list(menu) == [
            "demo (the open one)",
            "lego/ckpt",
            "chair/ckpt",
            "Choose a &file…",
        ]
        assert menu["demo (the open one)"].isChecked()
        opened: list[QMenu] = []
        monkeypatch.setattr(QMenu, "popup", lambda one, _at: opened.append(one))
        source = self.combo(setup, "What pane B shows")
        source.activated.emit(source.findText("From another file…"))
        assert opened == [setup.findChildren(QMenu)[1]]
        assert (source.currentText(), told) == ("int8", [])
        menu["chair/ckpt"].trigger()
        chair = PaneChoice(Precision.INT8, checkpoint="/a/chair/ckpt.tar")
        assert told[-1][1] == chair
        assert "of chair/ckpt" in texts(setup)
        assert self.menu(setup, "B")["chair/ckpt"].isChecked()
        # Another precision is of the same light field.
        source.activated.emit(source.findData(Precision.BF16))
        assert told[-1][1] == replace(chair, source=Precision.BF16)
        source.activated.emit(source.findData(Precision.INT8))
        assert told[-1][1] == chair
        self.menu(setup, "B")["demo (the open one)"].trigger()
        assert told[-1][1] == PaneChoice(Precision.INT8)
        assert "of chair/ckpt" not in texts(setup)
        with qtbot.waitSignal(setup.file_wanted) as wanted:
            self.menu(setup, "A")["Choose a &file…"].trigger()
        assert wanted.args == [0]

    def test_the_truth_is_never_of_another_light_field(self, setup, told):
        setup.show_panes([PaneChoice(Precision.FP32), PaneChoice(TRUTH)])
        setup.show_light_field(1, "/a/lego.tar")
        assert told[-1][1] == PaneChoice(Precision.FP32, checkpoint="/a/lego.tar")
        offers = {one: Availability(True) for one in Precision}
        setup.set_offers(offers, {TRUTH: Availability(True)}, {}, offers)
        source = self.combo(setup, "What pane B shows")
        source.activated.emit(source.findData(TRUTH))
        assert told[-1][1] == PaneChoice(TRUTH)
        setup.show_light_field(3, "/a/lego.tar")  # a pane that is not there
        assert told[-1][1] == PaneChoice(TRUTH)

    def test_enough_panes_to_compare(self, setup, told):
        setup.add_up_to(2)
        assert told == []
        setup.show_panes([PaneChoice(Precision.FP32)])
        setup.add_up_to(2)
        assert [pane.source for pane in setup.panes] == ["fp32", "int8"]

    def test_the_first_partner_is_the_truth_then_eight_bits(self, setup):
        offers = {one: Availability(True) for one in Precision}
        setup.set_offers(offers, {TRUTH: Availability(True)}, {}, offers)
        setup.show_panes([PaneChoice(Precision.BF16)])
        setup.add_up_to(4)
        assert [pane.source for pane in setup.panes] == ["bf16", TRUTH, "int8", "fp32"]

    def test_without_truth_and_integers_the_partner_is_simulated(self, setup):
        offers = {one: Availability(one is not Precision.INT8) for one in Precision}
        setup.set_offers(offers, {TRUTH: Availability(False, "there is none")}, {}, offers)
        setup.show_panes([PaneChoice(Precision.FP32)])
        setup.add_up_to(2)
        assert [pane.source for pane in setup.panes] == ["fp32", "int8-sim"]
