"""The wheel, installed into an environment of its own and called from a folder of its own."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from r2l_core import __version__

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A virtual environment with the wheel; the packages it needs are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist")
    run(*build, REPOSITORY, cwd=folder)
    (wheel,) = (folder / "dist").glob("*.whl")
    made = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", made, cwd=folder)
    python = made / SCRIPTS / "python"
    purelib = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    ).stdout.strip()
    Path(purelib, "shared.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    return made


def test_the_commands_are_on_the_path(prefix, tmp_path):
    for name in ("r2l", "r2l-viewer"):
        program = prefix / SCRIPTS / name
        assert run(program, "--version", cwd=tmp_path).stdout == f"{name} {__version__}\n"
        assert f"  {name} " in run(program, "--help", cwd=tmp_path).stdout


def test_the_light_field_that_comes_along(prefix, tmp_path):
    run(
        *(prefix / SCRIPTS / "r2l", "render", "--checkpoint", "demo", "--azimuth", "30"),
        *("--elevation", "20", "--radius", "4", "--size", "16", "--out", "x.png"),
        cwd=tmp_path,
    )
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_page_from_the_template_that_comes_along(prefix, tmp_path):
    code = (
        "import r2l_core.evaluation.html_report as page, viewer.window.main_window as window;"
        "from pathlib import Path;"
        "print(page.__file__, window.ICON_PATH, window.ICON_PATH.is_file(),"
        " any(Path(page.__file__).parent.glob('templates/*.j2')), sep='\\n')"
    )
    said = run(prefix / SCRIPTS / "python", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert all(line.startswith(str(prefix)) for line in said[:2]), "nothing is of the checkout"
    assert said[2:] == ["True", "True"]


def test_the_window_opens(prefix, tmp_path):
    run(
        *(prefix / SCRIPTS / "r2l-viewer", "--precision", "fp32", "--exit-after-first-frame"),
        *("--report", "r.json"),
        cwd=tmp_path,
    )
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["first_frame_s"] > 0
    assert report["errors"] == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of Linux desktops")
def test_desktops_find_it(prefix):
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str
    entry.read(prefix / "share" / "applications" / "r2l-viewer.desktop", encoding="utf-8")
    values = entry["Desktop Entry"]
    assert (values["Type"], values["Exec"]) == ("Application", "r2l-viewer %f")
    icons = prefix / "share" / "icons" / "hicolor" / "scalable" / "apps"
    assert (icons / f"{values['Icon']}.svg").is_file()
