"""What a person meets in the first hour, for the pictures of `compare_screens`.

The number in a name is that of what once went wrong there: 01 the first start, 02 keys, 03 what
fits, 04 pairs, 05 mixes, 06 layers, 07 datasets, 08 reasons, 09 what is kept, 10 panes and
screenshots, 11 films, 12 smaller things, 13 typed numbers. A display that does not answer (14) is a
sentence without a window, which `test_display_server` leaves beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from PyQt6.QtWidgets import QAbstractSpinBox

from r2l_core.geometry.scene import PRESETS
from r2l_core.images.difference import DifferenceKind
from r2l_core.types import Precision
from viewer.state.display_options import DifferenceOptions
from viewer.state.panes import SCENE_TRUTH, TRUTH, CompareMode, PaneChoice
from viewer.widgets.panels.record_panel import RecordPanel

if TYPE_CHECKING:
    from tests.viewer.compare_screens import Studio


def first_hour(studio: Studio) -> dict[str, Callable[[], None]]:
    """What to show for each picture, each going on from the one before."""
    window, pane = studio.window, studio.window.pane
    compare = window.compare
    record = RecordPanel(window)

    def first_look() -> None:
        studio.mode(CompareMode.SINGLE)
        pane.fit()
        studio.frames(1, stride=8)
        first = replace(pane.frames[0], seq=90, known_share=0.02, elapsed_ms=40.0)
        window.show_frames([first])
        window.show_first_look(PRESETS["demo"], "demo", first.engine)
        window.show_busy("Loading the engines…")

    def keys() -> None:
        window.show_busy(None)
        window.show_scene(PRESETS["demo"], "demo", "88 layers of 256, 16 samples a ray")
        window.commands.keys.trigger()

    def fitted() -> None:
        window.commands.keys.trigger()
        pane.fit()
        studio.mode(CompareMode.SIDE)
        studio.frames(3)

    def pair() -> None:
        studio.frames(4)
        compare.view.show_pairs(4, (2, 3))
        studio.mode(CompareMode.WIPE)

    def mix() -> None:
        compare.view.show_pairs(2, (0, 1))
        studio.mode(CompareMode.SIDE)
        studio.frames(2)
        a, b = pane.frames
        mixed = replace(b.engine, mix="4 of 86 layers in fp32")
        window.show_frames([a, replace(b, engine=mixed)])

    def layers() -> None:
        studio.mode(CompareMode.SINGLE)
        studio.frames(1)
        compare.view.pane.pixel_picked.emit(87, 112)
        compare.layers.show_progress(0.4)

    def dataset() -> None:
        compare.layers.show_progress(None)
        studio.raise_dock("Performance")
        window.show_dataset_open()
        panel = window.dataset
        names = [f"r_{number}" for number in range(12)]
        panel.show_dataset("lego", "blender, 800×800.", ("train", "test"), "test", names)
        panel.show_pose(1)
        panel.offer_size((800, 800))
        panel.show_misfit(
            "It may not belong to this light field: its near and far are 2 and 6, not 1 and 9."
        )

    def truths() -> None:
        studio.mode(CompareMode.SIDE)
        studio.frames(3)
        a, b, c = pane.frames
        photograph, scene = (replace(a.engine, engine=name) for name in (TRUTH, SCENE_TRUTH))
        shown = (PaneChoice(Precision.BF16), PaneChoice(TRUTH), PaneChoice(SCENE_TRUTH))
        compare.panes.show_panes(shown)
        studio.offer(scene_truth=True)
        window.show_frames([a, replace(b, engine=photograph), replace(c, engine=scene)])

    def reasons() -> None:
        studio.offer()
        studio.raise_dock("Camera")
        studio.mode(CompareMode.SINGLE)
        studio.frames(1)
        window.show_error(
            "fp16 cannot run here", "this processor has no FP16 arithmetic", "Choose another."
        )

    def waiting() -> None:
        window.message.dismiss()
        window.compare.view.show_waiting("still fp32, int8 is on its way")
        window.show_busy("Building int8…")
        window.precision.show_pending(Precision.INT8)
        window.engine.show_engine(replace(pane.frames[0].engine, fidelity_db=53.9))
        window.engine.show_contest("Is another engine faster? Timing openvino, turn 2 of 3")
        studio.raise_dock("Precision")

    def added() -> None:
        window.compare.view.show_waiting("")
        window.engine.show_contest("")
        studio.mode(CompareMode.SIDE)
        studio.frames(2)
        window.show_busy("Building int8-static-sim…")
        shown = (Precision.BF16, Precision.INT8, Precision.INT8_STATIC_SIM)
        compare.panes.show_panes([PaneChoice(one) for one in shown])
        compare.view.show_panes([str(one) for one in shown])

    def saved() -> None:
        window.show_busy(None)
        studio.frames(2)
        window.show_note("Saved /home/someone/Pictures/r2l-bf16-400x400.png", "/home/someone")

    def filming() -> None:
        window.show_note("")
        pane.overlays.show_filming("REC 00:12.3 – Ctrl+Shift+R stops")

    def recording() -> None:
        pane.overlays.show_filming(None)
        record.show_path(4, 6.0)
        record.propose_file("/home/someone/Videos")
        why_not = dict.fromkeys(
            ("side", "wipe", "difference"),
            "Pane B shows the ground truth; films are rendered by light fields.",
        )
        record.propose_mode("side")
        record.offer_modes(why_not, "A and B", "bf16 and truth")
        record.offer_instead("Show int8 in pane B instead of the truth")
        record.offer_resume("r2l.mp4, 12 of 180 frames")
        record.show()

    def closing() -> None:
        record.close()
        window.closing.add_reason(
            lambda: (
                "A film is being made. Closing ends it here: what is done stays and plays, and "
                "Record > Record… offers to complete it next time."
            )
        )
        window.close()

    def flip_scale() -> None:
        studio.close_dialogs()
        studio.mode(CompareMode.DIFFERENCE)
        compare.difference.set_options(DifferenceOptions(DifferenceKind.FLIP))

    def typed() -> None:
        studio.mode(CompareMode.SINGLE)
        studio.frames(1)
        studio.raise_dock("Camera")
        for field, text in zip(
            window.camera.findChildren(QAbstractSpinBox), ("4,5°", "-12.25"), strict=False
        ):
            field.lineEdit().setText(text)
            field.setFocus()

    def refining() -> None:
        first = replace(pane.frames[0], seq=99, stride=8, known_share=0.02, elapsed_ms=40.0)
        window.show_frames([first])
        window.show_frames([replace(first, known_share=0.62, elapsed_ms=12_400.0)])

    return {
        "01-first-look": first_look,
        "02-keys": keys,
        "03-fitted": fitted,
        "04-pair": pair,
        "05-mix": mix,
        "06-layers": layers,
        "07-dataset": dataset,
        "07-truths": truths,
        "08-reasons": reasons,
        "09-waiting": waiting,
        "10-added": added,
        "10-saved": saved,
        "11-filming": filming,
        "11-record": recording,
        "11-closing": closing,
        "12-flip-scale": flip_scale,
        "13-typed": typed,
        "refining": refining,
    }
