"""The evaluation's HTML file: well-formed, self-contained, honest pictures, nothing unescaped."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import imageio.v3 as iio
import numpy as np
import pytest

from r2l_core.errors import RecordingError
from r2l_core.evaluation.evaluation import EvaluatedView, PrecisionScores, ViewScores
from r2l_core.evaluation.html_report import LOWEST, MAX_VIEWS, HtmlReport, map_uri, picture_uri
from r2l_core.images.metrics import compare, pixel_errors
from r2l_core.types import EngineInfo, Precision

VOID = {"meta", "img", "br", "link", "hr", "input"}
NASTY = '<script>alert("1")</script>&\'"'


@dataclass
class Page(HTMLParser):
    """Parses strictly: every tag is closed, in order."""

    open_tags: list[str] = field(default_factory=list)
    seen: list[tuple[str, dict]] = field(default_factory=list)
    cells: list[list[str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attributes):
        assert len(attributes) == len(dict(attributes)), "an attribute twice"
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open_tags.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open_tags):
            self.cells[-1][-1] += data.strip()

    def images(self) -> dict[str, str]:
        found = [attributes for tag, attributes in self.seen if tag == "img"]
        assert len({image["alt"] for image in found}) == len(found)
        return {image["alt"]: image["src"] for image in found}


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open_tags == []
    return page


def pixels(uri: str) -> np.ndarray:
    kind, _, data = uri.partition(",")
    assert kind == "data:image/png;base64"
    return iio.imread(io.BytesIO(base64.b64decode(data, validate=True)), mode="RGB")


def engine(precision: Precision, **changes) -> EngineInfo:
    info = EngineInfo("torch", precision, "cpu", "float32", "float32", "torch 2", 100)
    return replace(info, **changes)


@pytest.fixture(scope="module")
def pictures():
    random = np.random.default_rng(6)
    truth = random.random((12, 16, 3), dtype=np.float32)
    fp32 = np.clip(truth + random.normal(0, 0.05, truth.shape), 0, 1).astype(np.float32)
    int8 = np.clip(fp32 + random.normal(0, 0.003, truth.shape), 0, 1).astype(np.float32)
    return {"truth": truth, Precision.FP32: fp32, Precision.INT8: int8}


def views(pictures, precisions, n_views=2):
    truth, fp32 = pictures["truth"], pictures[Precision.FP32]
    for index in range(n_views):
        for precision in precisions:
            image = pictures[precision]
            yield EvaluatedView(
                *(index, precision, image, truth, fp32),
                ViewScores(compare(image, truth), pixel_errors(image, fp32), 12.0, 12 * 16),
            )


def numbers(collected, **changes) -> dict:
    """The report of an evaluation that saw these views."""
    scores: dict[Precision, PrecisionScores] = {}
    for view in collected:
        entry = scores.setdefault(view.precision, PrecisionScores(engine(view.precision)))
        entry.views.append(view.scores)
    return {
        "precisions": {p.value: entry.summary() for p, entry in scores.items()},
        "views": max(view.index for view in collected) + 1,
        "size": [16, 12],
        "reference": "teacher",
        "dataset": None,
        "turntable": None,
        "lpips_why_not": "the package lpips is not installed",
        **changes,
    }


@pytest.fixture
def write(light_field, pictures, tmp_path):
    """A function that writes a report and parses it again: (Page, report)."""

    def write_it(precisions=(Precision.FP32, Precision.INT8), n_views=2, field=None, **changes):
        collected = list(views(pictures, precisions, n_views))
        html = HtmlReport(field or light_field, n_views)
        for view in collected:
            html.add(view)
        report = numbers(collected, **changes)
        path = tmp_path / "reports" / "r.html"
        html.write(path, report)
        return read(path.read_text("utf-8")), report

    return write_it


def test_nothing_is_fetched_and_nothing_runs(write):
    page, _ = write()
    for tag, attributes in page.seen:
        assert tag not in ("script", "link", "iframe", "object", "base", "form")
        assert not [name for name in attributes if name.startswith("on") or name == "href"]
    for uri in page.images().values():
        assert uri.startswith("data:image/png;base64,")
    policy = [a["content"] for tag, a in page.seen if a.get("http-equiv") is not None]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert "prefers-color-scheme: dark" in page.text
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_every_number_is_in_the_table(write):
    page, report = write()
    rows = {cells[0]: cells[1:] for cells in page.cells if len(cells) == 15}
    assert list(rows) == ["fp32", "int8"]
    for name, cells in rows.items():
        row = report["precisions"][name]
        assert cells[0] == f"{row['psnr_db_mean']:.2f}"
        assert cells[1] == f"{row['psnr_db_pooled']:.2f}"
        assert cells[2] == f"{min(row['psnr_db_views']):.2f}"
        assert cells[4] == f"{row['flip_mean']:.4f}"
        assert cells[5] == "–", "LPIPS was not measured"
        assert cells[6] == f"{row['mean_abs_mean']:.4f}"
        assert cells[7] == f"{row['max_abs_mean']:.3f}"
        assert cells[8] == f"{row['off_by_1_255_percent_mean']:.1f} %"
        assert cells[11] == f"{row['off_by_1_255_percent_vs_fp32_mean']:.1f} %"
        assert cells[12] == "12"
        assert cells[13] == "torch, cpu: float32"
    assert rows["fp32"][9] == "∞"
    assert rows["int8"][9] == f"{report['precisions']['int8']['psnr_db_vs_fp32_mean']:.2f}"
    assert "the package lpips is not installed" in page.text


def test_the_head_of_the_table_fits_its_rows(write):
    page, _ = write()
    first = next(i for i, cells in enumerate(page.cells) if cells[0] == "precision")
    assert page.cells[first] == [
        *("precision", "against the truth", "against fp32", "ms a frame", "what ran")
    ]
    spans = [int(a["colspan"]) for tag, a in page.seen if tag == "th" and "colspan" in a]
    assert sum(spans) == len(page.cells[first + 1]) == 12
    assert len(page.cells[first + 2]) == 12 + 3


def test_pictures_and_differences_of_every_view(write, pictures):
    page, _ = write()
    images = page.images()
    truth, fp32, int8 = (pictures[n] for n in ("truth", Precision.FP32, Precision.INT8))
    for index in (0, 1):
        for name, picture in (("fp32", fp32), ("int8", int8)):
            shown = pixels(images[f"View {index} in {name}"])
            np.testing.assert_array_equal(shown, np.rint(picture * 255).astype(np.uint8))
            assert images[f"Difference of {name} to the truth in view {index}"] == map_uri(
                picture, truth
            )
        assert images[f"Difference of int8 to fp32 in view {index}"] == map_uri(int8, fp32)
        assert f"Difference of fp32 to fp32 in view {index}" not in images
        assert images[f"Truth of view {index}"] == picture_uri(truth)
    captions = [text for cells in page.cells for text in cells if text.startswith("|")]
    db = pixel_errors(int8, fp32).psnr_db
    assert captions[0] == f"|fp32 − truth|: {pixel_errors(fp32, truth).psnr_db:.2f} dB"
    assert captions[1].startswith(f"|int8 − fp32|: {db:.2f} dB, at most 0.0")
    assert captions[2].startswith("|int8 − truth|: ")


def test_fp32_is_there_without_being_evaluated(write):
    page, report = write((Precision.INT8,))
    assert list(report["precisions"]) == ["int8"]
    assert "View 0 in fp32" in page.images()
    assert "Difference of fp32 to the truth in view 1" in page.images()


def test_text_from_files_is_escaped(write, light_field):
    field = replace(
        light_field,
        name=NASTY,
        scene=replace(light_field.scene, name=NASTY),
        sha256=NASTY[:12],
    )
    page, _ = write(field=field, lpips_why_not=NASTY)
    assert page.text.count(NASTY) == 4, "title, heading, scene, remark"
    assert not [tag for tag, _ in page.seen if tag == "script"]


def test_the_truth_is_named(write):
    assert "Truth: the teacher." in " ".join(write()[0].text.split())
    facts = {"name": NASTY, "kind": "blender", "split": "test", "half_res": True}
    page, _ = write(dataset=facts, reference="dataset")
    assert f"Truth: the dataset {NASTY} (blender, test, half size)." in " ".join(page.text.split())


def test_shimmer_is_told_where_it_was_measured(write):
    rows = {"int8": {"change_psnr_db": 41.234, "change_mean_abs": 0.01, "change_ratio_to_truth": 2}}
    turntable = {"frames": 7, "step_deg": 1.0, "truth_change_mean_abs": 0.005, "precisions": rows}
    text = " ".join(write(turntable=turntable)[0].text.split())
    assert "7 frames, 1.0 degree apart" in text
    assert "int8 41.23 0.01000 2.000 truth 0.00500 1" in text
    assert "Shimmer" not in write()[0].text


def test_engines_say_what_is_emulated(light_field, pictures, tmp_path):
    collected = list(views(pictures, (Precision.INT8,), 1))
    html = HtmlReport(light_field, 1)
    html.add(collected[0])
    report = numbers(collected)
    report["precisions"]["int8"]["engine"]["emulated"] = "in <float32>"
    html.write(tmp_path / "r.html", report)
    assert "(in <float32>)" in read((tmp_path / "r.html").read_text("utf-8")).text


def test_many_views_are_thinned_out(write):
    n_views = 3 * MAX_VIEWS + 1
    page, _ = write((Precision.INT8,), n_views)
    truths = [name for name in page.images() if name.startswith("Truth")]
    assert len(truths) == MAX_VIEWS
    assert {"Truth of view 0", f"Truth of view {n_views - 1}"} <= set(truths)
    assert f"{MAX_VIEWS} of the {n_views} views" in page.text
    assert "evenly spread" not in write((Precision.INT8,), MAX_VIEWS)[0].text


def test_places_that_cannot_be_written(light_field, pictures, tmp_path):
    collected = list(views(pictures, (Precision.INT8,), 1))
    html = HtmlReport(light_field, 1)
    html.add(collected[0])
    with pytest.raises(RecordingError, match=str(tmp_path)):
        html.write(tmp_path, numbers(collected))


# --- the pictures themselves -------------------------------------------------------------------


def test_maps_brighten_with_the_difference():
    reference = np.zeros((1, 9, 3), np.float32)
    steps = np.array([0, LOWEST / 2, LOWEST, 0.001, 0.004, 0.02, 0.1, 0.5, 1], np.float32)
    shown = pixels(map_uri(reference + steps[:, None], reference))[0].astype(int)
    luminance = shown @ (0.2126, 0.7152, 0.0722)
    assert (shown[:3] == shown[0]).all(), "the darkest colour"
    assert (np.diff(luminance[2:]) > 3).all()
    assert luminance[-1] > 230


def test_ticks_are_where_the_colours_are(write):
    page, _ = write()
    places = [a["style"] for tag, a in page.seen if a.get("style", "").startswith("left")]
    for place, step in zip(places[1:], (1, 10, 100), strict=True):
        share = math.log(step / 255 / LOWEST) / math.log(1 / LOWEST)
        assert place == f"left:{100 * share:.1f}%"


def test_what_is_not_a_number_is_grey_in_maps_and_black_in_pictures(pictures):
    image = pictures["truth"].copy()
    image[2, 3] = np.nan
    image[4, 5] = np.inf
    shown = pixels(map_uri(image, pictures[Precision.FP32]))
    grey = (shown == 128).all(axis=2)
    assert grey[2, 3]
    assert grey[4, 5]
    assert grey.sum() == 2
    picture = pixels(picture_uri(image))
    assert (picture[2, 3] == 0).all()
    assert (picture[4, 5] == 255).all()
