"""Starts the viewer: what the command line asks for, the event loop, scripted runs."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType

from PyQt6.QtCore import (
    QMessageLogContext,
    QObject,
    QSettings,
    QThreadPool,
    QTimer,
    QtMsgType,
    qInstallMessageHandler,
)
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from r2l_core.errors import CheckpointError, EngineUnavailable, R2LError, SceneError
from r2l_core.files import shipped_folder
from r2l_core.types import Precision
from viewer.app import App
from viewer.runtime import GuiCollector
from viewer.scripted.tour import Tour
from viewer.state.panes import LETTERS, TRUTHS, CompareMode, PaneChoice
from viewer.state.view_state import LightFieldChoice, ViewState
from viewer.state.what_is import Kind, what_is
from viewer.widgets import theme

_SWITCH_INTERVAL_S = 0.0001
"""How soon the interpreter hands over to the window's thread when both want to run. To paint one
panel takes dozens of turns, and each of them waits so long while another thread imports."""


_kept: list[QObject] = []
"""What lives until the process ends: torn down in whatever order Python's frames and cycles go,
Qt crashes now and then."""


def run(options: argparse.Namespace) -> int:
    """Open the window and run until it closes. Returns the exit code."""
    file = options.named = _other_than_light_field(options)
    try:
        if options.report is not None:
            # It loads torch, which the window does not wait for when it opens.
            from r2l_core.commands.outputs import require_own_outputs

            require_own_outputs(options)
        state = first_state(options)
    except R2LError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    # Python's own handler of Ctrl+C would wait for the next event, and then be one error of many.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    qInstallMessageHandler(print_qt_message)
    qt = QApplication(sys.argv[:1])
    _kept.append(qt)
    # By this, desktops find the icon and group the windows of `r2l-viewer.desktop`.
    QGuiApplication.setDesktopFileName("r2l-viewer")
    theme.install(qt)
    scripted = options.tour is not None or options.exit_after_first_frame
    if scripted:
        # A script neither depends on what a person has set up nor changes it.
        with tempfile.TemporaryDirectory() as folder:
            settings = QSettings(f"{folder}/settings.ini", QSettings.Format.IniFormat)
            settings.setValue("hint_seen", options.tour is not None)
            app = App(state, settings, options.dataset, file=file)
            return run_app(app, options, qt, scripted)
    asks = options.report is None
    return run_app(App(state, None, options.dataset, asks, file=file), options, qt, scripted)


def run_app(app: App, options: argparse.Namespace, qt: QApplication, scripted: bool) -> int:
    """Show the window until it closes, or drive it by a script; returns the exit code."""
    _kept.append(app)
    show_uncaught(app)
    collector = GuiCollector(app)
    app.rendering.running_changed.connect(collector.settle)
    app.render_thread.failed.connect(collector.settle)
    if options.tour is not None:
        tour = Tour(app, options.tour, options.screens)
        tour.finished.connect(app.close)
    elif options.exit_after_first_frame:
        # The picture is told of while it is painted, which is no time to close a window.
        leave = partial(QTimer.singleShot, 0, app.close)
        app.report.first_picture.connect(lambda: None if app.dataset.opening else leave())
        app.dataset.settled.connect(lambda: leave() if app.report.has_picture else None)
    if scripted:
        # Without a picture there is nothing to script.
        app.render_thread.failed.connect(lambda: None if app.report.has_picture else app.close())
    else:
        _fall_back_on_failure(app)
        app.contests.begin()
        if (screen := app.window.screen()) is not None:
            app.window.stay_within(screen.availableSize())
    if options.tour is None and options.report is not None:
        app.report.begin_watching()
        app.report.first_picture.connect(app.report.end_watching)
    app.start()
    qt.exec()
    app.render_thread.stop()
    collector.stop()
    pool = QThreadPool.globalInstance()
    assert pool is not None
    pool.waitForDone()
    if options.report is not None:
        try:
            app.report.write(options.report)
        except R2LError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 2 if scripted and app.has_failed else 0


def _fall_back_on_failure(app: App) -> None:
    """A person whose first wish fails reads why over something simpler, in the end the demo."""
    first = app.first_state
    untried = [
        simpler
        for simpler in (
            ViewState(LightFieldChoice(first.light_field.checkpoint, first.light_field.scene)),
            ViewState(LightFieldChoice("demo")),
        )
        if (simpler.light_field, simpler.panes) != (first.light_field, first.panes)
    ]

    def fall_back(error: Exception) -> None:
        if isinstance(error, CheckpointError | SceneError):
            # Other engines would meet the same, and it would be said twice.
            untried[:] = [other for other in untried if _opens(other) != _opens(first)]
        if app.rendering.running is None and untried:
            app.rendering.want(untried.pop(0))

    app.render_thread.failed.connect(fall_back)


def _opens(state: ViewState) -> tuple[object, ...]:
    return state.light_field.checkpoint, state.light_field.scene


def show_uncaught(app: App) -> None:
    """A bug in a slot becomes a message instead of the end of the process."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, Exception):
            app.uncaught.emit(error)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


def print_qt_message(_kind: QtMsgType, _context: QMessageLogContext, text: str | None) -> None:
    """As Qt does, without what its offscreen plugin remarks on every window."""
    if text and not text.startswith("This plugin does not support"):
        print(text, file=sys.stderr)


def _other_than_light_field(options: argparse.Namespace) -> str | None:
    """What was named in the place of a light field and is none, such as a dataset or a session; the
    demo is then opened with it."""
    name: str = options.checkpoint
    if (shipped_folder("checkpoints") / f"{name}.safetensors").is_file():
        return None
    if what_is(Path(name))[0] is Kind.LIGHT_FIELD:
        return None
    options.checkpoint = "demo"
    return name


def first_state(options: argparse.Namespace) -> ViewState:
    """What to open and how. Raises R2LError where a flag names what does not exist."""
    light_field = LightFieldChoice(
        options.checkpoint,
        options.scene,
        options.engine,
        options.device,
        options.rays,
        tuple(options.assume),
    )
    panes: tuple[PaneChoice, ...] = ()
    if options.precision is not None:
        panes = (PaneChoice(_precision("--precision", options.precision)),)
    if options.compare is None:
        return ViewState(light_field, panes)
    return ViewState(light_field, _panes(options.compare), mode=CompareMode.SIDE)


def _precision(flag: str, name: str) -> Precision:
    try:
        return Precision(name)
    except ValueError:
        known = ", ".join(Precision)
        raise EngineUnavailable(
            f"{flag} {name} cannot be used", f"the precisions are {known}", "Choose one of them."
        ) from None


def _panes(names: str) -> tuple[PaneChoice, ...]:
    sources = names.split(",")
    if not 2 <= len(sources) <= len(LETTERS):
        raise R2LError(
            f"--compare {names} cannot be used",
            f"it does not name two to {len(LETTERS)} pictures",
            "Give P,P.",
        )
    return tuple(
        PaneChoice(name if name in TRUTHS else _precision("--compare", name)) for name in sources
    )
