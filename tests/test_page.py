"""Pages stand alone; the demo's numbers are real, its code and commands work."""

from __future__ import annotations

import re
import shlex
from base64 import b64decode
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from latente import Autoencoder, datasets, recipes
from latente.cli.main import COMMANDS, load
from latente.figures import page
from latente.metrics import mse
from latente.recipes import demo

VOID = {"meta", "link", "br", "img", "rect", "path", "polygon", "use", "image", "stop"}
SECTIONS = [
    "way", "compression", "map", "noise", "generation", "anomalies", "training", "numbers", "next",
    "repeat",
]  # fmt: skip
Made = tuple[Path, dict[str, Any]]


class Reader(HTMLParser):
    """Collects what a page holds, and checks that every element is closed where it was opened."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open[-2:]):
            self.words.setdefault(tag, []).append(data)

    def all(self, name: str) -> list[str]:
        return [value for _, given in self.elements if (value := given.get(name)) is not None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("demo") / "deep"
    record = recipes.run("demo", folder, quick=True)
    return folder / "demo.html", record["figures"]


@pytest.fixture(scope="module")
def source(made: Made) -> str:
    return made[0].read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(source: str) -> Reader:
    return Reader(source)


class TestPage:
    def test_every_element_is_closed(self, reader: Reader) -> None:
        assert reader.open == []

    def test_nothing_is_loaded_from_anywhere(self, reader: Reader, source: str) -> None:
        for name in ("src", "href", "xlink:href", "srcset", "poster", "data"):
            assert all(value.startswith(("#", "data:")) for value in reader.all(name))
        assert "url(http" not in source
        assert "@import" not in source
        assert "fetch(" not in source
        assert not {"iframe", "object", "embed"} & {tag for tag, _ in reader.elements}

    def test_every_section_is_there_and_linked_to(self, reader: Reader) -> None:
        found = [given["id"] for tag, given in reader.elements if tag == "section"]
        assert found == SECTIONS
        assert [link for link in reader.all("href") if not link.startswith("data:")][
            : len(SECTIONS)
        ] == [f"#{name}" for name in SECTIONS]

    def test_identifiers_are_the_only_ones_and_references_lead_somewhere(
        self, reader: Reader, source: str
    ) -> None:
        known = Counter(reader.all("id"))
        assert max(known.values()) == 1
        referred = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', source)
        assert {first or second for first, second in referred} <= set(known)

    def test_every_figure_is_described(self, reader: Reader) -> None:
        drawings = [given for tag, given in reader.elements if tag == "svg"]
        assert len(drawings) >= 12
        labels = [given["aria-label"] or "" for given in drawings]
        assert all(given["role"] == "img" for given in drawings)
        assert min(map(len, labels)) > 30
        assert len(set(labels)) == len(labels)

    def test_figures_follow_the_pages_colours(self, source: str) -> None:
        drawings = "".join(re.findall(r"<svg.*?</svg>", source, re.DOTALL))
        assert "var(--ink)" in drawings
        assert "#1c2733" not in drawings
        assert "DejaVu" not in drawings
        assert "prefers-color-scheme: dark" in source
        assert "@media print" in source


class TestNumbers:
    def test_they_are_those_of_the_saved_models(self, made: Made) -> None:
        path, numbers = made
        X = datasets.load("digits").X_test
        for name, found in numbers["models"].items():
            folder = recipes.models_of("demo", path.parent, quick=True)
            model = Autoencoder.load(folder / f"{name}.safetensors")
            assert found["mse"] == pytest.approx(
                mse(X, model.reconstruct(X)).mean() / 256, rel=1e-3
            )
            assert found["parameters"] == sum(p.numel() for p in model.module_.parameters())
            assert found["epochs"] == 2

    def test_pca_is_the_best_linear_code(self, made: Made) -> None:
        digits = datasets.load("digits")
        X, mean = digits.X_test.reshape(-1, 64), digits.X.reshape(-1, 64).mean(axis=0)
        axes = np.linalg.svd(digits.X.reshape(-1, 64) - mean, full_matrices=False)[2][:2]
        back = (X - mean) @ axes.T @ axes + mean
        found = made[1]["models"]["plain"]["pca_mse"]
        assert found == pytest.approx(mse(X, back).mean() / 256, rel=1e-4)

    def test_they_are_on_the_page(self, made: Made, reader: Reader) -> None:
        numbers, words = made[1], " ".join(reader.words["dd"] + reader.words["td"])
        models = numbers["models"]
        for value in (
            f"{models['plain']['mse']:.4f}",
            f"{models['plain']['pca_mse']:.4f}",
            f"{models['denoising']['psnr_restored']:.1f} dB",
            f"{models['denoising']['psnr_noisy']:.1f} dB",
            f"{models['denoising']['psnr_linear']:.1f} dB",
            f"{models['variational']['kl']:.1f}",
            f"{numbers['map']['autoencoder']:.0%}",
            f"{numbers['anomalies']['auroc']:.3f}",
            f"{models['variational']['parameters']:,}",
        ):
            assert value in words

    def test_they_lie_where_they_can(self, made: Made) -> None:
        numbers = made[1]
        digits = datasets.load("digits")
        assert numbers["data"]["train"] == len(digits.X)
        assert numbers["data"]["held_out"] == len(digits.X_test)
        assert all(0 < share < 1 for share in numbers["map"].values())
        assert 0.4 < numbers["anomalies"]["auroc"] <= 1
        noise = numbers["models"]["denoising"]
        assert noise["psnr_noisy"] < noise["psnr_pca"] < noise["psnr_linear"]


def parsed(line: str) -> None:
    """Read a command line as the command itself would, without running it."""
    words = shlex.split(line)
    assert words[0] == "latente"
    if words[1:] == ["--help"]:
        return
    assert words[1] in COMMANDS
    command, name, rest = load(words[1]), words[1], words[2:]
    if hasattr(command, "commands"):
        command, name, rest = command.commands[rest[0]], rest[0], rest[1:]
    command.make_context(name, rest)


class TestCodeAndCommands:
    def test_every_command_on_the_page_can_be_read(self, reader: Reader) -> None:
        shown = [text for text in reader.words["pre"] if "latente " in text]
        lines = "\n".join(shown).replace("\\\n", " ").splitlines()
        found = [line for line in lines if line.startswith("latente ")]
        assert len(found) > 12
        for line in found:
            parsed(line)

    def test_every_block_of_code_has_a_button_that_copies_it(self, reader: Reader) -> None:
        tags = [tag for tag, _ in reader.elements]
        assert tags.count("button") == tags.count("pre") > 10
        assert tags.count("script") == 1

    def test_next_steps_name_the_models_that_were_written(self, made: Made) -> None:
        folder = recipes.models_of("demo", made[0].parent, quick=True)
        steps = demo.next_steps(folder)
        assert len(steps) >= 5
        for command, what in steps:
            parsed(command)
            assert what
            for word in shlex.split(command):
                if word.startswith(str(folder)):
                    assert Path(word).exists()

    @pytest.mark.parametrize("name", demo.MODELS)
    def test_the_code_makes_the_model(self, name: str) -> None:
        source = page.python_fit(
            {**demo.MODELS[name], "epochs": 0, "random_state": 0}, [], "digits"
        )
        made: dict[str, Any] = {}
        exec(source, made)
        expected = Autoencoder(**{**demo.MODELS[name], "epochs": 0, "random_state": 0})
        assert made["model"].get_params(deep=False) == expected.get_params(deep=False)

    def test_the_code_on_the_page_runs(
        self, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shown = [text for text in reader.words["pre"] if "figures." in text]
        assert len(shown) == 5
        scope: dict[str, Any] = {}
        for text in shown:
            exec(re.sub(r"epochs=\d+", "epochs=1", text), scope)
        assert {path.stem for path in tmp_path.iterdir()} == {
            "reconstructions",
            "latent_map_beside_pca",
            "decode_grid",
            "samples",
            "anomalies",
        }

    def test_lines_are_short_and_joined(self) -> None:
        text = page.shell_fit(
            "m", {"latent_dim": 2, "network": "dense(hidden=[1, 2])"} | demo.COMMON, [], "x"
        )
        lines = text.strip().splitlines()
        assert max(map(len, lines)) <= 54
        assert all(line.endswith(" \\") for line in lines[:-1])
        words = shlex.split(text.replace("\\\n", " "))
        assert words[words.index("--network") + 1] == "dense(hidden=[1, 2])"


class TestParts:
    def test_text_is_escaped_and_marked(self) -> None:
        assert page.text("a < b & `x<y` *so*").strip() == (
            "<p>a &lt; b &amp; <code>x&lt;y</code> <em>so</em></p>"
        )
        assert "<b>" not in page.table("<b>", ["<b>"], [["<b>", "<b>"]])
        assert "<b>" not in page.numbers({"<b>": "<b>"}) + page.code("<b>")
        assert Reader(page.svg(Figure(), '"<')).all("aria-label") == ['"<']
        assert Reader(page.png(Figure(), '"<')).all("alt") == ['"<']

    def test_the_flow_shows_the_code(self) -> None:
        drawing = page.flow(np.eye(4), np.array([0.5, -1.25, 3, 4]), np.zeros((4, 4)))
        shown = Reader(drawing).words["text"]
        assert shown == ["encoder", "0.50", "−1.25", "3.00", "…", "the code", "decoder"]


class TestBuilder:
    """A page from Python alone, as a recipe makes it."""

    def made(self) -> str:
        figure = Figure()
        figure.add_axes((0, 0, 1, 1)).plot([0, 1])
        return page.Page(
            "Rain & <sun>",
            [
                page.Section("one", "First", [page.text("It is *new*."), page.code("1 < 2")]),
                page.Section(
                    "two",
                    "Second",
                    [
                        page.picture(figure, "a line", "falls", vector=False),
                        page.columns(page.numbers({"errors": "0"}), page.picture(figure, "rises")),
                        page.table("all", ["name", "value"], [["a", "1"], ["b", "2"]]),
                    ],
                    label="More",
                    link="2nd",
                ),
            ],
            description='says "all"',
            lead="About `x`.",
            introduction=[page.text("Welcome.")],
            footer=["Made here."],
        ).html()

    def test_it_is_whole_and_holds_what_it_was_given(self) -> None:
        html = self.made()
        reader = Reader(html)
        assert html.startswith("<!doctype html>")
        assert reader.open == []
        assert [given["id"] for tag, given in reader.elements if tag == "section"] == ["one", "two"]
        assert reader.all("href")[:3] == ["data:,", "#one", "#two"]
        assert reader.words["a"] == ["First", "2nd"]
        assert reader.words["h1"] == reader.words["title"] == ["Rain & <sun>"]
        assert reader.words["h2"] == ["First", "Second"]
        assert reader.words["code"] == ["x", "1 < 2"]
        assert reader.words["td"] == ["1", "2"]
        assert reader.words["dd"] == ["0"]
        assert 'says "all"' in reader.all("content")
        assert "Made here." in reader.words["p"]
        assert "prefers-color-scheme: dark" in html

    def test_a_figure_as_png_is_inside_the_page(self) -> None:
        reader = Reader(self.made())
        (source,) = reader.all("src")
        picture = Image.open(BytesIO(b64decode(source.removeprefix("data:image/png;base64,"))))
        assert picture.size == (1228, 921)
        assert reader.all("alt") == ["a line"]

    def test_it_is_written_into_a_new_folder(self, tmp_path: Path) -> None:
        page.write(tmp_path / "deep" / "page.html", self.made())
        assert (tmp_path / "deep" / "page.html").read_text("utf-8") == self.made()
