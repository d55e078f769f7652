"""What a recording shows: frames, panes, wipes, gains, title cards and labels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from r2l_core.camera_paths.camera_path import CameraPath, Keyframe
from r2l_core.camera_paths.presets import turntable
from r2l_core.errors import RecordingError
from r2l_core.geometry.orbit import Orbit
from r2l_core.images.colors import PRECISION_COLORS
from r2l_core.recording.compose import composed, wipe_column
from r2l_core.recording.labels import PaneNumbers, labelled, legible, require_title, title_card
from r2l_core.recording.plan import RecordingPlan
from r2l_core.types import EngineInfo, Precision, to_uint8

PATH = turntable(Orbit(35.0, 30.0, 4.0), 40.0, 2.0)
FP32, INT8 = Precision.FP32, Precision.INT8


def a_plan(**changes) -> RecordingPlan:
    values = {"path": PATH, "seconds": 2.0, "fps": 10.0, "width_px": 400, "height_px": 300}
    return RecordingPlan(**{**values, "precisions": (FP32,), **changes})


def compared(mode: str, **changes) -> RecordingPlan:
    return a_plan(precisions=(FP32, INT8), mode=mode, **changes)


def numbers(precision=FP32, ms=1234.0, emulated=None) -> PaneNumbers:
    return PaneNumbers(EngineInfo("torch", precision, "cpu", "", "", "", 0, emulated), ms)


# --- frames ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "fps", "n_frames"),
    [(2.0, 10.0, 20), (6.0, 30.0, 180), (0.01, 30.0, 1), (1.0, 120.0, 120), (10.0, 29.97, 300)],
)
def test_the_number_of_frames(seconds, fps, n_frames):
    assert a_plan(seconds=seconds, fps=fps).n_frames == n_frames


def test_frame_k_shows_the_path_at_k_over_fps():
    plan = a_plan()
    for frame in (0, 7, 19):
        shot = plan.shot(frame)
        assert shot.seconds == pytest.approx(frame / 10)
        expected = PATH.at(frame / 10).camera(400, 300)
        np.testing.assert_array_equal(shot.camera.T_world_camera, expected.T_world_camera)
        assert (shot.camera.width_px, shot.camera.height_px) == (400, 300)
        assert shot.camera.fov_y_deg == pytest.approx(40.0)


def test_a_title_card_comes_first_and_takes_two_seconds():
    plan = a_plan(title="Hello")
    assert plan.n_title_frames == 20
    assert plan.n_frames == 40
    assert plan.shot(19).camera is None
    assert plan.shot(20).seconds == 0.0


@pytest.mark.parametrize(
    ("mode", "size"),
    [("side", (800, 300)), ("wipe", (400, 300)), ("difference", (400, 300))],
)
def test_the_size_of_the_picture(mode, size):
    assert compared(mode).picture_size == size
    assert a_plan().picture_size == (400, 300)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"fps": 0.0}, "frame rate"),
        ({"fps": 1000.0}, "frame rate"),
        ({"seconds": math.inf}, "length"),
        ({"seconds": -1.0}, "length"),
        ({"gain": 0.0}, "gain"),
        ({"width_px": 16384, "height_px": 8192}, "size"),
    ],
)
def test_what_cannot_be_recorded_is_refused(changes, names):
    with pytest.raises(RecordingError, match=names):
        a_plan(**changes)


def test_the_wipe_sweeps_both_ways_and_comes_back():
    plan = compared("wipe")
    wipes = [plan.shot(frame).wipe for frame in range(plan.n_frames)]
    assert wipes[0] == 0.5
    assert max(wipes) == pytest.approx(0.95)
    assert min(wipes) == pytest.approx(0.05)
    assert abs(wipes[-1] - wipes[0]) < 0.15


def test_keyframes_overrule_the_plan():
    pose = Orbit(0.0, 20.0, 4.0).T_world_camera()
    keys = (
        Keyframe(pose, 40.0),
        Keyframe(pose, 40.0, 1.0, Precision.BF16, FP32, wipe=0.25, gain=2.0),
    )
    plan = compared("wipe", path=CameraPath(keys))
    assert plan.shot(0).precisions == (FP32, INT8)
    last = plan.shot(15)
    assert last.precisions == (Precision.BF16, FP32)
    assert (last.wipe, last.gain) == (0.25, 2.0)
    assert plan.used_precisions() == ((FP32, Precision.BF16), (INT8, FP32))
    alone = a_plan(path=CameraPath(keys))
    assert alone.shot(15).precisions == (Precision.BF16,)
    assert alone.used_precisions() == ((FP32, Precision.BF16),)


def test_a_precision_that_no_frame_shows_is_not_built():
    pose = Orbit(0.0, 20.0, 4.0).T_world_camera()
    keys = tuple(Keyframe(pose, 40.0, 1.0, one) for one in (INT8, None, Precision.BF16))
    plan = a_plan(path=CameraPath(keys))
    assert plan.used_precisions() == ((INT8, Precision.BF16),)
    assert a_plan(path=CameraPath(keys).without("precision_a")).used_precisions() == ((FP32,),)


def test_precisions_step_at_their_keyframe_and_the_rest_glides():
    """At the very frame, though 0.1 + 0.2 is not 0.3 and all times are stretched."""
    pose = Orbit(0.0, 20.0, 4.0).T_world_camera()
    keys = tuple(
        Keyframe(pose, 40.0, 0.1, precision, wipe=wipe, gain=gain)
        for precision, wipe, gain in (
            (None, 0.2, 1.0),
            (INT8, None, None),
            (None, None, None),
            (Precision.BF16, 0.8, 7.0),
            (FP32, 0.8, 7.0),
        )
    )
    for seconds in (0.4, 2.0, 3.7):
        path = CameraPath(keys).lasting(seconds)
        plan = compared("wipe", path=path, fps=10.0 / path.seconds * 4.0, seconds=path.seconds)
        shots = [plan.shot(frame) for frame in range(plan.n_frames)]
        assert [shot.precisions[0] for shot in shots] == (
            [FP32] * 10 + [INT8] * 20 + [Precision.BF16] * 10
        )
        wipes, gains = [shot.wipe for shot in shots], [shot.gain for shot in shots]
        assert (wipes[0], gains[0]) == (0.2, 1.0)
        assert (wipes[30], gains[30]) == (pytest.approx(0.8), pytest.approx(7.0))
        assert (np.diff(wipes[:31]) > 0).all()
        assert (np.diff(gains[:31]) > 0).all()
        assert wipes[15] == pytest.approx(0.5)


# --- composing ---------------------------------------------------------------------------------


@pytest.fixture
def panes():
    generator = np.random.default_rng(1)
    return [generator.random((6, 8, 3), dtype=np.float32) for _ in range(2)]


def test_panes_side_by_side(panes):
    picture = composed("side", panes, 0.5, 1.0)
    np.testing.assert_array_equal(picture[:, :8], to_uint8(panes[0]))
    np.testing.assert_array_equal(picture[:, 8:], to_uint8(panes[1]))


@pytest.mark.parametrize("wipe", [0.0, 0.3, 1.0])
def test_a_wipe_shows_the_first_pane_on_the_left(panes, wipe):
    picture = composed("wipe", panes, wipe, 1.0)
    column = wipe_column(wipe, 8)
    np.testing.assert_array_equal(picture[:, :column], to_uint8(panes[0])[:, :column])
    np.testing.assert_array_equal(picture[:, column:], to_uint8(panes[1])[:, column:])


def test_a_difference_is_that_of_the_worst_channel_amplified():
    a = np.full((2, 2, 3), 0.5, np.float32)
    b = a + np.array([0.01, -0.01, 0.4], np.float32)
    picture = composed("difference", [a, b], 0.5, 10.0)
    np.testing.assert_array_equal(picture, 255)
    picture = composed("difference", [a, a + np.float32([0.01, -0.02, 0.0])], 0.5, 10.0)
    np.testing.assert_allclose(picture, 51, atol=0.51)


# --- labels ------------------------------------------------------------------------------------

GROUND = np.full((300, 400, 3), 255, np.uint8)


def differing(picture: np.ndarray, ground: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero((picture != ground).any(axis=2))
    return rows, columns


def test_without_labels_the_picture_is_left_alone():
    plan = a_plan(labels="off")
    np.testing.assert_array_equal(labelled(GROUND, plan, plan.shot(0), [numbers()], None), GROUND)


def test_a_label_lies_in_its_corner_in_the_colour_of_its_precision():
    plan = a_plan(labels="live", precisions=(INT8,))
    picture = labelled(GROUND, plan, plan.shot(0), [numbers(INT8)], None)
    rows, columns = differing(picture, GROUND)
    assert rows.max() < 60
    assert columns.max() < 200
    orange = tuple(int(PRECISION_COLORS["int8"][0][i : i + 2], 16) for i in (1, 3, 5))
    assert (picture.reshape(-1, 3) == orange).all(axis=1).sum() > 50
    assert (GROUND == 255).all()  # the picture given was not drawn on


@pytest.mark.parametrize("mode", ["side", "wipe", "difference"])
def test_two_panes_are_both_named_and_the_numbers_live(mode):
    plan = compared(mode, labels="live")
    ground = np.full((300, plan.picture_size[0], 3), 255, np.uint8)
    panes = [numbers(FP32), numbers(INT8, 90.0)]
    picture = labelled(ground, plan, plan.shot(3), panes, 48.2)
    colors = picture.reshape(-1, 3)
    for precision in (FP32, INT8):
        text = PRECISION_COLORS[precision][0]
        wanted = tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
        assert (colors == wanted).all(axis=1).any()
    names_only = replace(plan, labels="names")
    for other_plan, other_panes, psnr_db in (
        (names_only, panes, 48.2),
        (plan, [numbers(FP32), numbers(INT8, 91.0)], 48.2),
        (plan, panes, 50.0),
        (plan, panes, math.inf),
    ):
        other = labelled(ground, other_plan, other_plan.shot(3), other_panes, psnr_db)
        assert (other != picture).any()
    names = labelled(ground, names_only, names_only.shot(3), panes, 48.2)
    slower = [numbers(FP32, 5.0), numbers(INT8, 5.0)]
    np.testing.assert_array_equal(
        names, labelled(ground, names_only, names_only.shot(3), slower, 20.0)
    )


def test_simulated_precisions_are_hatched():
    plan = a_plan(labels="names", precisions=(Precision.INT8_SIM,))
    native, simulated = (
        labelled(GROUND, plan, plan.shot(0), [numbers(Precision.INT8_SIM, 1.0, why)], None)
        for why in (None, "simulated in float32")
    )
    assert (native != simulated).any()


@pytest.mark.parametrize("size", [(1, 1), (30, 20), (64, 48), (120, 400), (1600, 900)])
@pytest.mark.parametrize("mode", ["single", "side", "wipe", "difference"])
def test_labels_stay_inside_their_pane_at_any_size(size, mode):
    width, height = size
    options = {"labels": "live", "width_px": width, "height_px": height}
    plan = a_plan(**options) if mode == "single" else compared(mode, **options)
    ground = np.full((height, plan.picture_size[0], 3), 255, np.uint8)
    panes = [numbers(FP32, 98765.0), numbers(Precision.DYNAMIC_INT8_FAKE)][: len(plan.precisions)]
    picture = labelled(ground, plan, plan.shot(0), panes, 30.0 if len(panes) == 2 else None)
    assert picture.shape == ground.shape
    assert picture.dtype == np.uint8


def test_type_grows_more_slowly_than_the_picture():
    def text_height(width, height):
        plan = a_plan(labels="names", width_px=width, height_px=height)
        ground = np.full((height, width, 3), 255, np.uint8)
        rows, _ = differing(labelled(ground, plan, plan.shot(0), [numbers()], None), ground)
        return np.ptp(rows) / height

    assert text_height(400, 400) > 0.05
    assert 0.03 < text_height(3840, 2160) < text_height(400, 400)


def test_a_title_card_has_its_words_in_the_middle():
    card = title_card("A title", "small print", 400, 300)
    assert card.shape == (300, 400, 3)
    rows, columns = differing(card, np.broadcast_to(card[0, 0], card.shape))
    assert 100 < rows.min() < rows.max() < 200
    assert abs(columns.min() + columns.max() - 400) < 8
    assert title_card("A much longer title " * 5, "x", 100, 80).shape == (80, 100, 3)
    assert title_card("1", "1", 1, 1).shape == (1, 1, 3)


@pytest.mark.parametrize("title", ["漢字", "two\nlines", "bell\x07"])
def test_a_title_that_cannot_be_written_is_refused(title):
    with pytest.raises(RecordingError, match="title"):
        require_title(title)


def test_english_titles_can_be_written():
    require_title("R2L: fp32 vs. int8 (size 1.5 %) · don't panic!")
    assert legible("Größe 3") == "Gr??e 3"
