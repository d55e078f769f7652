"""Opens whatever a file is, and keeps which were used last."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from r2l_core.errors import QuantizationError, R2LError
from r2l_core.recording.loading import load_sidecar
from viewer.camera_path.controller import CameraPathController
from viewer.compare.layers_controller import LayersController
from viewer.dataset.controller import DatasetController
from viewer.kept.sessions import SessionController
from viewer.recording.controller import RecordingController
from viewer.rendering.controller import RenderController
from viewer.rendering.running import Running
from viewer.state.preferences import Preferences, RecentFiles
from viewer.state.view_state import StateStore, ViewState
from viewer.state.what_is import Kind, what_is
from viewer.window.main_window import MainWindow


class FileOpener(QObject):
    """Opens whatever a file or folder is."""

    failed = pyqtSignal(Exception)

    def __init__(
        self,
        window: MainWindow,
        rendering: RenderController,
        datasets: DatasetController,
        camera_path: CameraPathController,
        recording: RecordingController,
        sessions: SessionController,
        layers: LayersController,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._rendering = rendering
        self._datasets = datasets
        self._camera_path = camera_path
        self._recording = recording
        self._sessions = sessions
        self._layers = layers
        window.open_requested.connect(rendering.open)
        window.file_dropped.connect(self.open)

    def open(self, path: str) -> None:
        """A light field, a dataset or a file of one, a camera path, a session, a recording's
        sidecar, a mix of layers or a scene."""
        kind, file = what_is(Path(path))
        try:
            match kind:
                case Kind.LIGHT_FIELD:
                    self._rendering.open(path)
                case Kind.DATASET:
                    self._datasets.open(str(file))
                case Kind.CAMERA_PATH:
                    self._camera_path.open(str(file))
                case Kind.SESSION:
                    self._sessions.open(str(file))
                case Kind.SCENE:
                    self._rendering.set_scene(str(file))
                case Kind.MIX:
                    # It loads torch, which the window does not wait for when it opens.
                    from r2l_core.quantization.recipes import load_mix

                    mix = load_mix(file)
                    high = frozenset(name for name, how in mix.items() if how == "fp32")
                    if not self._layers.able:
                        raise QuantizationError(
                            f"The layer mix {file} cannot be shown",
                            "no pane runs its layers in eight bits",
                            "Choose int8 or int8-sim first.",
                        )
                    self._layers.set_mix(high)
                case Kind.RECORDING:
                    self._open_recording(file)
        except R2LError as error:
            self.failed.emit(error)

    def _open_recording(self, sidecar: Path) -> None:
        """Its light field and its path; what is unfinished of it can be completed."""
        recipe = load_sidecar(sidecar).recipe
        running = self._rendering.running
        if running is None or running.wish.light_field.checkpoint != recipe.checkpoint:
            self._rendering.open(recipe.checkpoint)
        self._camera_path.editor.use(recipe.plan.path)
        self._recording.offer(sidecar)


class RecentController(QObject):
    """File > Open recent: listens to those who open and save files, and fills the menu."""

    def __init__(
        self,
        window: MainWindow,
        preferences: Preferences,
        store: StateStore,
        rendering: RenderController,
        camera_path: CameraPathController,
        sessions: SessionController,
        opener: FileOpener,
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self._menu = window.commands.recent
        self._opener = opener
        self._checkpoint = ""
        self._files = RecentFiles(preferences, "recent_files")
        rendering.running_changed.connect(self._running_changed)
        store.listen(self._state_changed)
        camera_path.file_used.connect(self._note)
        sessions.file_used.connect(self._note)
        self._show()

    def _running_changed(self, running: Running) -> None:
        checkpoint = running.wish.light_field.checkpoint
        # Something else may run of the same light field.
        if checkpoint != self._checkpoint and Path(checkpoint).is_file():
            self._note(checkpoint)
        self._checkpoint = checkpoint

    def _state_changed(self, before: ViewState, after: ViewState) -> None:
        if after.dataset is not None and after.dataset != before.dataset:
            self._note(after.dataset.path)

    def _note(self, file: str) -> None:
        self._files.note(file)
        self._show()

    def _forget(self) -> None:
        self._files.forget()
        self._show()

    def _show(self) -> None:
        self._menu.show_files(self._files.files(), self._opener.open, self._forget)
