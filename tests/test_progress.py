"""Progress is shown where somebody can see it: on a terminal, and in a notebook."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import types
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

from latente import Autoencoder, ParameterError, datasets
from latente.training.notebook import NotebookView, clock, loss_curve
from latente.training.progress import Progress, sparkline

X = datasets.load("digits").X[:60]


def small(**keywords: Any) -> Autoencoder:
    return Autoencoder(2, network="dense(hidden=[8])", epochs=3, random_state=0, **keywords)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Notebook(types.ModuleType):
    """IPython as a notebook's kernel has it; what is shown is kept."""

    def __init__(self, kernel: object = "a kernel") -> None:
        super().__init__("IPython")
        self.shown: list[str] = []
        self.display = types.ModuleType("IPython.display")
        self.display.HTML = str
        self.display.display = self._display
        self.get_ipython = lambda: types.SimpleNamespace(kernel=kernel)

    def _display(self, page: str, display_id: bool) -> Any:
        assert display_id
        self.shown.append(page)
        return types.SimpleNamespace(update=self.shown.append)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    fake = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", fake.display)
    return fake


def record(epoch: int, total: float, **terms: float) -> dict[str, float]:
    return {"epoch": epoch, "total": total, "samples_per_second": 1234.0, **terms}


# ── in a notebook ──────────────────────────────────────────


def test_a_notebook_shows_a_bar_that_ends_at_the_last_epoch(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    ae = small(verbose=1).fit(X)
    assert 'value="0.000" max="3"' in notebook.shown[0]
    assert 'value="3.000" max="3"' in notebook.shown[-1]
    assert f"validation {ae.history_[-1]['validation_total']:.4g}" in notebook.shown[-1]
    assert "<svg" not in notebook.shown[-1]
    assert capsys.readouterr() == ("", "")


def test_a_notebook_shows_the_curve_and_prints_lines_where_asked(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    small(verbose="curve").fit(X)
    assert "<svg" in notebook.shown[-1]
    assert capsys.readouterr() == ("", "")
    small(verbose=2).fit(X)
    printed = capsys.readouterr()
    assert re.findall(r"epoch (\d)/3 ", printed.out) == ["1", "2", "3"]
    assert printed.err == ""


def test_ipython_at_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    for shell in (None, types.SimpleNamespace()):
        fake = Notebook()
        fake.get_ipython = lambda shell=shell: shell
        monkeypatch.setitem(sys.modules, "IPython", fake)
        assert Progress(1, 3).view is None


def test_the_bar_tells_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("latente.training.notebook.time.monotonic", lambda: now[0])
    view = NotebookView(20, 10, curve=False)
    assert "left" not in view.page()
    now[0] += 30
    view.epoch(record(15, 1.0), "total <1")
    assert "0:30 left" in view.page()
    assert "total &lt;1" in view.page()
    assert "0:30  total" in view.page(last=True)
    assert [clock(s) for s in (0, 59.6, 3723)] == ["0:00", "1:00", "1:02:03"]


@pytest.mark.parametrize("count", [2, 3, 240, 241, 10_000])
def test_a_curve_is_whole_and_inside_its_frame(count: int) -> None:
    records = [record(i + 1, 1000 / (i + 1), validation_total=2000 / (i + 1)) for i in range(count)]
    drawing = ET.fromstring(loss_curve(records))
    lines = [each for each in drawing.iter() if each.tag.endswith("polyline")]
    assert len(lines) == 2
    for line in lines:
        points = np.array([point.split(",") for point in line.get("points", "").split()], float)
        assert len(points) <= 241
        assert (np.diff(points[:, 0]) > 0).all()
        assert (np.diff(points[:, 1]) >= 0).all()  # downward on the screen: the loss falls
        assert points.min() >= 0
        assert points[-1, 0] == pytest.approx(float(drawing.get("width", 0)) - 8)
        assert points[:, 1].max() < float(drawing.get("height", 0))
    assert f">{count}</text>" in ET.tostring(drawing, encoding="unicode")


@pytest.mark.parametrize("losses", [[], [1.0], [np.nan, np.nan, 2.0]])
def test_there_is_no_curve_through_one_point(losses: list[float]) -> None:
    assert loss_curve([record(i + 1, loss) for i, loss in enumerate(losses)]) == ""


def test_constant_and_negative_losses_are_drawn() -> None:
    for losses in ([1.0, 1.0], [-5.0, -50.0, -600.0], [5.0, -1.0]):
        assert "polyline" in loss_curve([record(i + 1, loss) for i, loss in enumerate(losses)])


# ── on a terminal, and elsewhere ───────────────────────────


@pytest.mark.parametrize(("verbose", "lines"), [(1, 0), (2, 3), (True, 0), ("curve", 0)])
def test_a_terminal_shows_a_bar(verbose: Any, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    small(verbose=verbose).fit(X)
    written = terminal.getvalue()
    assert "epoch 0/3" in written
    assert len(re.findall(r"epoch \d/3  total", written)) == lines
    assert ("█" in written) == (verbose == "curve")


@pytest.mark.parametrize(("verbose", "lines"), [(0, 0), (1, 0), ("curve", 0), (2, 3)])
def test_elsewhere_only_lines_are_printed(
    verbose: Any, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    small(verbose=verbose).fit(X)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == lines


@pytest.mark.parametrize("verbose", [-1, "curves", None, 1.5])
def test_what_verbose_can_be_is_said(verbose: Any) -> None:
    with pytest.raises(ParameterError, match=r"verbose=.*use 0, 1, 2 or 'curve'"):
        small(verbose=verbose).fit(X)


def test_a_curve_at_a_terminal_keeps_its_length() -> None:
    assert sparkline([4.0, 2.0, 1.0, 1.0]) == "█▃▁▁"
    assert sparkline([3.0]) == "▁"
    assert len(sparkline([float(i) for i in range(1000)])) == 16
    assert sparkline([float(i) for i in range(1000)])[-1] == "█"


# ── what a notebook shows of a model and a figure ──────────


def test_the_html_of_a_model_shows_its_parameters_and_whether_it_is_fitted() -> None:
    ae = small(bottleneck="gaussian(beta=4)")
    page = ae._repr_html_()
    assert "gaussian(beta=4)" in page
    assert "Not fitted" in page
    assert "Not fitted" not in ae.fit(X)._repr_html_()


def test_a_figure_shows_itself_and_leaves_none_open() -> None:
    code = (
        "import sys\n"
        "from latente import Autoencoder, datasets, figures\n"
        "X = datasets.load('digits').X[:40]\n"
        "ae = Autoencoder(2, network='dense(hidden=[4])', epochs=1).fit(X)\n"
        "png, size = figures.latent_map(ae, X)._repr_png_()\n"
        "assert png.startswith(b'\\x89PNG') and len(png) > 5000\n"
        "assert int.from_bytes(png[16:20], 'big') == 2 * size['width']\n"
        "assert figures.history(ae)._repr_png_()[0].startswith(b'\\x89PNG')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "import matplotlib; matplotlib.use('agg')\n"
        "import matplotlib.pyplot as plt\n"
        "figures.latent_map(ae, X)\n"
        "assert plt.get_fignums() == []\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
