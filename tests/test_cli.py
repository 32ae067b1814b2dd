"""The command line: what it answers, where it writes, how it fails."""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from latente import Autoencoder, Dense, Gaussian, TrainingWarning, datasets
from latente.cli import parameters as cli_parameters
from latente.cli.console import waiting
from latente.cli.main import COMMANDS, app, load
from latente.cli.output import OUTPUTS, _write_csv
from latente.cli.parameters import literal, offered, parameters, part, value, written
from latente.data.names import Names
from latente.errors import ParameterError, printable
from latente.families import FAMILIES
from latente.parts import Part
from latente.search.index import IndexFile
from latente.search.rows import StoredRows

Run = Callable[..., Any]
HEAVY = ("torch", "numpy", "sklearn", "matplotlib", "pandas", "scipy")
TINY = ("--epochs", "2", "--network", "dense(hidden=[16])", "--latent-dim", "3")


def run(*args: object) -> Any:
    """Call the command line and return exit_code, stdout and stderr."""
    return CliRunner().invoke(app, [str(arg) for arg in args])


def good(*args: object) -> Any:
    """Call the command line, which must succeed."""
    result = run(*args)
    assert result.exit_code == 0, result.stderr
    return result


def refused(code: int, *args: object) -> str:
    """Call the command line, which must fail with one sentence on stderr; return it."""
    result = run(*args)
    assert result.exit_code == code, (result.exit_code, result.output)
    assert result.stdout == ""
    assert result.stderr.startswith("latente: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stderr
    return str(result.stderr)


def answered(*args: object) -> Any:
    """Call the command line with --json and return the object it answers with."""
    return json.loads(good(*args, "--json").stdout)


def pixels(path: Path) -> Any:
    """Return a picture's values."""
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of pictures, of rows, of a table, and the data they were fitted on."""
    home = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.save(home / "pictures.npy", pictures)
    np.save(home / "rows.npy", rng.normal(size=(60, 5)).astype(np.float32))
    (home / "photos" / "dark").mkdir(parents=True)
    (home / "photos" / "light").mkdir()
    for i, picture in enumerate(pictures[:24]):
        Image.fromarray(picture).save(home / "photos" / ("dark", "light")[i % 2] / f"p{i}.png")
    with (home / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["size", "colour", "kind"])
        for i in range(60):
            writer.writerow([f"{i / 7:.3f}", ("red", "green", "")[i % 3], "ab"[i % 2]])
    for name in ("pictures.npy", "rows.npy", "photos", "table.csv"):
        good("fit", home / name, "-o", home / f"{Path(name).stem}.safetensors", *TINY)
    return home


class TestHelp:
    def test_imports_nothing_heavy(self) -> None:
        calls = [["--help"], *([name, "--help"] for name in COMMANDS), ["plot", "map", "--help"]]
        code = (
            "import sys; from latente.cli.main import app\n"
            f"for args in {calls!r}:\n"
            "    try: app(args)\n"
            "    except SystemExit: pass\n"
            f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stderr.strip() == "[]"
        assert done.stdout.count("Usage") == len(calls)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_each_command_tells_about_itself(self, name: str) -> None:
        page = good(name, "--help").stdout
        assert "Usage" in page
        assert load(name).get_short_help_str(200) == COMMANDS[name][2]

    def test_lists_the_commands_under_headings(self) -> None:
        page = good("--help").stdout
        assert all(f"\n  {name} " in page for name in COMMANDS)
        assert page.index("Train:") < page.index("Use:") < page.index("Learn:")

    def test_version(self) -> None:
        from latente import __version__

        assert good("--version").stdout == f"latente {__version__}\n"

    def test_options_are_the_estimators_parameters(self) -> None:
        signature = inspect.signature(Autoencoder.__init__).parameters
        read = parameters()
        assert list(read) == [name for name in signature if name != "self"]
        assert all(read[name].default == signature[name].default for name in read)
        assert all(each.help for each in read.values())
        page = good("fit", "--help").stdout
        assert all(
            f"--{name.replace('_', '-')} " in page for name in set(offered()) - {"random_state"}
        )
        assert "--seed " in page

    def test_a_new_keyword_is_an_option_by_itself(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "estimator.py").write_text(
            "class Autoencoder:\n"
            '    """Learn.\n\n    Parameters\n    ----------\n    layout : str or None\n'
            '        How axes are read. Or not.\n    depth\n        How deep.\n    """\n'
            "    def __init__(self, *, layout: str | None = None, depth: int = 3): ...\n"
        )
        monkeypatch.setattr(cli_parameters, "PACKAGE", tmp_path)
        read = parameters.__wrapped__()
        monkeypatch.setattr(cli_parameters, "parameters", lambda: read)
        options = cli_parameters.estimator_options()
        layout, depth = (options[name].__metadata__[0] for name in ("layout", "depth"))
        assert layout.help == "How axes are read  [default: none]"
        assert (layout.default, layout.metavar) == ("--layout", "TEXT")
        assert (depth.default, depth.metavar) == ("--depth", "INTEGER")
        texts = {"layout": "rows", "depth": "7"}
        assert cli_parameters.values(texts) == {"layout": "rows", "depth": 7}
        assert value("layout", "none") is None

    def test_a_part_in_the_help_is_a_part_in_the_table(self) -> None:
        page = " ".join(good("fit", "--help").stdout.split())
        assert all(", ".join(table) in page for table in FAMILIES.values())

    def test_parts_lists_every_parameter_of_every_part(self) -> None:
        found = answered("parts")
        for name, table in FAMILIES.items():
            for key, cls in table.items():
                listed = found[name][key]["parameters"]
                assert list(listed) == list(cls.parameter_names())
                assert all(each["about"] for each in listed.values()), (name, key)
        assert "free_bits" in good("parts", "bottleneck").stdout

    def test_parts_knows_its_families(self) -> None:
        assert "bottleneck" in refused(2, "parts", "bottlenecks")


def commands_told() -> list[tuple[str, str]]:
    """Return the commands that the documentation gives, each with its file."""
    root = Path(__file__).parent.parent
    found = []
    for path in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        text = path.read_text("utf-8").replace("\\\n", " ") if path.exists() else ""
        for line in text.splitlines():
            command = line.split("  #")[0].split(" | ")[0].split(" > ")[0].strip()
            if command.startswith("latente ") and command.split()[1] in COMMANDS:
                found.append((path.name, command))
    return found


@pytest.mark.parametrize(("name", "command"), commands_told())
def test_a_command_in_the_documentation_is_one(name: str, command: str) -> None:
    words = shlex.split(command)[1:]
    called = load(words[0])
    with called.make_context(words[0], words[1:]) as ctx:
        if words[0] == "plot":
            figure = called.get_command(ctx, words[1])
            figure.make_context(words[1], words[2:], parent=ctx).close()


class TestValues:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("3", 3), ("1e-3", 0.001), ("None", None), ("none", "none"), ("cpu", "cpu"),
            ("auto", "auto"), ("cuda:1", "cuda:1"), ("-1", -1), ("(", "("), ("", ""),
        ],
    )  # fmt: skip
    def test_text_is_read_as_python_would(self, text: str, value: object) -> None:
        assert literal(text) == value

    def test_none_is_a_name_where_it_can_be_one(self) -> None:
        assert value("scaling", "none") == "none"
        assert value("patience", "none") is None
        assert value("corruption", ["none"]) is None
        assert part("conv(code_channels=none)", "network").code_channels is None

    def test_a_part_is_a_name_a_call_or_a_table(self) -> None:
        wanted = Gaussian(beta=4)
        assert part("gaussian(beta=4)", "bottleneck") == wanted
        assert part({"name": "gaussian", "beta": 4}, "bottleneck") == wanted
        assert part("auto", "network") == "auto"
        assert part(["mask", "mask(rate=0.5)"], "corruption")[1].rate == 0.5

    @pytest.mark.parametrize(
        "spec", ["gausian", "gaussian(betta=4)", "gaussian(", "auto", 3, {"beta": 4}, {"name": 3}]
    )
    def test_what_is_no_part_is_refused(self, spec: object) -> None:
        with pytest.raises(ParameterError, match="bottleneck"):
            part(spec, "bottleneck")

    def test_written_can_be_read_back(self) -> None:
        for name, table in FAMILIES.items():
            for cls in table.values():
                assert part(written(cls(), name), name) == cls()
        assert (
            written(Gaussian(beta=0.5, samples=5), "bottleneck") == "gaussian(beta=0.5, samples=5)"
        )


NUMBERS = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.booleans())
WORDS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(st.one_of(NUMBERS, WORDS), lambda inner: st.lists(inner, max_size=4))


class TestToml:
    @given(VALUES)
    def test_any_value_comes_back(self, value: object) -> None:
        read = tomllib.loads(cli_parameters.toml_line("key", value))["key"]
        assert read == value
        assert type(read) is type(value)

    @given(st.data())
    def test_any_part_comes_back(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(FAMILIES)))
        original = data.draw(changed(data.draw(st.sampled_from(list(FAMILIES[name].values())))))
        text = f"[{name}]\n" + "\n".join(cli_parameters.toml_table(original, name))
        parameters_, others = cli_parameters.split_config(tomllib.loads(text), "run.toml")
        assert parameters_ == {name: original}
        assert others == {}

    def test_corruptions_come_back_as_a_list(self) -> None:
        model = Autoencoder(
            corruption=["mask(rate=0.5)", part("gaussian_noise(std=0.3)", "corruption")]
        )
        model.corruption = part(list(model.corruption), "corruption")
        read, _ = cli_parameters.split_config(
            tomllib.loads(cli_parameters.write_config(model)), "run.toml"
        )
        assert read["corruption"] == model.corruption

    def test_the_file_is_read_like_the_options(self, tmp_path: Path) -> None:
        path = tmp_path / "run.toml"
        path.write_text(
            'seed = 3\nlimit = 40\nnetwork = "dense(hidden=[8])"\npatience = "none"\n'
            '[bottleneck]\nname = "sparse"\nweight = 2\n[[corruption]]\nname = "mask"\n'
        )
        read, others = cli_parameters.read_config(str(path))
        assert read["random_state"] == 3
        assert read["patience"] is None
        assert read["network"].hidden == (8,)
        assert read["bottleneck"].weight == 2
        assert [type(each).__name__ for each in read["corruption"]] == ["Mask"]
        assert others == {"limit": 40}

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("learnig_rate = 1", "did you mean 'learning_rate'?"),
            ("batch-size = 1", "did you mean 'batch_size'?"),
            ("zzz = 1", "latent_dim"),
            ("verbose = 1", "'verbose'"),
            ('bottleneck = "gausian"', "'gaussian'"),
            ('[bottleneck]\nname = "gaussian"\nbetta = 4', "beta"),
            ("[bottleneck]\nbeta = 4", "bottleneck"),
            ("bottleneck = 3", "bottleneck"),
            ("limit = 0", "limit"),
            ("target = 3", "target"),
            ("epochs = ", "not a TOML file"),
        ],
    )
    def test_what_it_cannot_mean_is_refused(self, tmp_path: Path, text: str, hint: str) -> None:
        path = tmp_path / "run.toml"
        path.write_text(text)
        told = refused(2, "fit", "digits", "-o", tmp_path / "m.safetensors", "--config", path)
        assert hint in told
        assert "run.toml" in told
        assert not (tmp_path / "m.safetensors").exists()

    def test_no_such_file(self, tmp_path: Path) -> None:
        told = refused(2, "fit", "digits", "-o", tmp_path / "m.safetensors", "--config", "no.toml")
        assert "no.toml" in told


def changed(cls: type[Part]) -> st.SearchStrategy[Part]:
    """Parts of a class, their numeric parameters changed to what the class accepts."""
    plain = cls().get_params()
    numbers = {name: value for name, value in plain.items() if type(value) in (int, float)}

    def made(factors: list[float]) -> Part:
        drawn = cls()
        for (name, before), factor in zip(numbers.items(), factors, strict=True):
            try:
                drawn.set_params(**{name: type(before)(before * factor)})
            except ParameterError:
                drawn.set_params(**{name: before})
        return drawn

    share = st.floats(0.01, 3)
    return st.lists(share, min_size=len(numbers), max_size=len(numbers)).map(made)


class TestFit:
    def test_saves_a_model_and_tells_of_it(self, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        result = good("fit", "digits", "-o", path, "--limit", 100, *TINY)
        assert path.exists()
        assert result.stderr == ""
        for word in ("digits", "dense(hidden=(16,))", "reconstruction", "validation", "test"):
            assert word in result.stdout

    def test_json_is_one_object_with_history_and_errors(self, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        found = answered("fit", "digits", "-o", path, "--limit", 100, "--pca", *TINY)
        assert found["rows"] == 100
        assert found["latent_dim"] == 3
        assert [record["epoch"] for record in found["history"]] == [1, 2]
        errors = found["mean_squared_error"]
        assert [list(errors[name]) for name in ("autoencoder", "PCA")] == [["training", "test"]] * 2
        model = Autoencoder.load(path)
        from latente import datasets

        test = datasets.load("digits").X_test
        assert errors["autoencoder"]["test"] == pytest.approx(
            model.reconstruction_error(test).mean(), rel=1e-5
        )
        assert errors["PCA"]["training"] < errors["autoencoder"]["training"]

    def test_pca_beside_is_pca(self, home: Path, tmp_path: Path) -> None:
        from sklearn.decomposition import PCA

        args = ("fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", "--scaling", "none")
        found = answered(*args, "--pca", *TINY)
        X = np.load(home / "rows.npy")
        pca = PCA(3).fit(X)
        wanted = np.square(pca.inverse_transform(pca.transform(X)) - X).mean()
        assert found["mean_squared_error"]["PCA"]["training"] == pytest.approx(wanted, rel=1e-4)

    def test_the_same_command_gives_the_same_model(self, home: Path, tmp_path: Path) -> None:
        found = []
        for name in ("a", "b"):
            path = tmp_path / f"{name}.safetensors"
            good("fit", home / "rows.npy", "-o", path, *TINY)
            found.append(Autoencoder.load(path).transform(np.load(home / "rows.npy")))
        assert np.array_equal(*found)

    def test_options_reach_the_estimator(self, home: Path, tmp_path: Path) -> None:
        path = tmp_path / "m.safetensors"
        good(
            "fit", home / "rows.npy", "-o", path, *TINY, "--bottleneck", "gaussian(beta=0.5)",
            "--corruption", "mask(rate=0.1)", "--corruption", "gaussian_noise", "--loss", "huber",
            "--optimizer", "sgd(momentum=0.5)", "--schedule", "cosine", "--learning-rate", "1e-3",
            "--weight-decay", "1e-4", "--gradient-clip", "1", "--batch-size", "16",
            "--validation-fraction", "0.25", "--patience", "3", "--scaling", "standard",
            "--device", "cpu", "--precision", "float32", "--seed", "7",
        )  # fmt: skip
        model = Autoencoder.load(path)
        assert model.bottleneck_.beta == 0.5
        assert [type(each).__name__ for each in model.corruption_] == ["Mask", "GaussianNoise"]
        assert type(model.loss_).__name__ == "Huber"
        assert model.optimizer_.momentum == 0.5
        given = {
            "learning_rate": 1e-3, "weight_decay": 1e-4, "gradient_clip": 1, "batch_size": 16,
            "validation_fraction": 0.25, "patience": 3, "scaling": "standard", "device": "cpu",
            "precision": "float32", "random_state": 7, "epochs": 2, "latent_dim": 3,
        }  # fmt: skip
        assert {name: getattr(model, name) for name in given} == given

    def test_options_win_over_the_file(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "run.toml").write_text("epochs = 1\nlatent_dim = 2\nlimit = 30\n")
        path = tmp_path / "m.safetensors"
        args = ("fit", home / "rows.npy", "-o", path, "--config", tmp_path / "run.toml")
        found = answered(*args, "--latent-dim", 4)
        assert (found["latent_dim"], found["epochs"], found["rows"]) == (4, 1, 30)

    def test_info_prints_a_file_that_gives_the_same_fit(self, home: Path, tmp_path: Path) -> None:
        first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
        args = ("--bottleneck", "gaussian(warmup=1)", "--corruption", "mask", "--seed", 5)
        good("fit", home / "rows.npy", "-o", first, *TINY, *args)
        text = good("info", first, "--config").stdout
        (tmp_path / "again.toml").write_text(text)
        good("fit", home / "rows.npy", "-o", second, "--config", tmp_path / "again.toml")
        X = np.load(home / "rows.npy")
        models = [Autoencoder.load(path) for path in (first, second)]
        assert np.array_equal(models[0].transform(X), models[1].transform(X))
        assert good("info", second, "--config").stdout == text
        assert "# " in text  # what "auto" stood for

    def test_a_target_is_learned_row_by_row(self, home: Path, tmp_path: Path) -> None:
        X = np.load(home / "rows.npy")
        np.save(tmp_path / "sums.npy", X @ np.ones((5, 2), np.float32))
        path = tmp_path / "m.safetensors"
        good("fit", home / "rows.npy", "-o", path, "--target", tmp_path / "sums.npy", *TINY)
        assert Autoencoder.load(path).reconstruct(X).shape == (60, 2)

    def test_validation_data_are_given(self, home: Path, tmp_path: Path) -> None:
        X = np.load(home / "rows.npy")
        np.save(tmp_path / "held.npy", X[:20] + 1)
        args = ("fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", *TINY, "--json")
        found = json.loads(good(*args, "--validation", tmp_path / "held.npy").stdout)
        plain = json.loads(good(*args).stdout)
        assert found["history"][0] != plain["history"][0]
        expected = Autoencoder.load(tmp_path / "m.safetensors").set_params(validation_fraction=0)
        expected.fit(X, validation=X[:20] + 1)
        found_total = found["history"][0]["validation_total"]
        assert found_total == pytest.approx(expected.history_[0]["validation_total"])
        (tmp_path / "run.toml").write_text(f"validation = '{tmp_path / 'held.npy'}'")
        again = json.loads(good(*args, "--config", tmp_path / "run.toml").stdout)
        assert again["history"][0]["validation_total"] == found_total
        both = ("--validation", tmp_path / "held.npy", "--target", tmp_path / "held.npy")
        told = refused(2, *args, *both)
        assert "--validation does not go with --target" in told

    def test_a_checkpoint_folder_is_kept(self, home: Path, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        path = tmp_path / "m.safetensors"
        good("fit", home / "rows.npy", "-o", path, "--checkpoint", folder, *TINY)
        assert list(folder.iterdir())

    def test_verbose_tells_each_epoch_on_stderr(self, home: Path, tmp_path: Path) -> None:
        args = ("fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", *TINY)
        told = good(*args, "--verbose", "--json")
        assert told.stderr.count("epoch") == 2
        json.loads(told.stdout)

    def test_an_interrupt_keeps_what_was_learned(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from latente.training.loop import Trainer

        train = Trainer._train

        def interrupted(self: Trainer, *args: Any) -> Any:
            if self.state.epoch == 1:
                raise KeyboardInterrupt
            return train(self, *args)

        monkeypatch.setattr(Trainer, "_train", interrupted)
        path = tmp_path / "m.safetensors"
        result = run("fit", home / "rows.npy", "-o", path, *TINY, "--json")
        assert result.exit_code == 1
        assert "interrupted" in result.stderr
        assert str(path) in result.stderr
        assert json.loads(result.stdout)["stopped"] == "interrupted"
        assert Autoencoder.load(path).stopped_ == "interrupted"

    def test_a_loss_that_diverges_is_told(self, home: Path, tmp_path: Path) -> None:
        args = ("fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", *TINY)
        result = run(*args, "--optimizer", "sgd", "--learning-rate", "1e30")
        assert result.exit_code == 1
        assert "learning_rate" in result.stderr
        assert "Traceback" not in result.output


class TestUse:
    @pytest.mark.parametrize("suffix", ["npy", "csv", "parquet"])
    def test_codes_go_out_and_come_back(self, home: Path, tmp_path: Path, suffix: str) -> None:
        codes = tmp_path / f"codes.{suffix}"
        model = home / "pictures.safetensors"
        told = good("encode", home / "pictures.npy", "-m", model, "-o", codes)
        assert told.stdout == ""
        assert "60 × 3" in told.stderr
        good("decode", codes, "-m", model, "-o", tmp_path / "back.npy")
        good("reconstruct", home / "pictures.npy", "-m", model, "-o", tmp_path / "same.npy")
        back, same = np.load(tmp_path / "back.npy"), np.load(tmp_path / "same.npy")
        assert back.dtype == np.uint8
        assert back.shape == (60, 8, 8)
        assert np.array_equal(back, same)

    def test_codes_go_to_stdout_as_csv(self, home: Path) -> None:
        model = home / "rows.safetensors"
        text = good("encode", home / "rows.npy", "-m", model).stdout
        header, *rows = csv.reader(io.StringIO(text))
        loaded = Autoencoder.load(model)
        assert header == list(loaded.get_feature_names_out())
        wanted = loaded.transform(np.load(home / "rows.npy"))
        assert np.array_equal(np.array(rows, dtype=np.float32), wanted)

    def test_json_holds_the_codes(self, home: Path) -> None:
        found = answered("encode", home / "rows.npy", "-m", home / "rows.safetensors", "--limit", 4)
        assert found["shape"] == [4, 3]
        assert np.shape(found["codes"]) == (4, 3)

    def test_a_folder_comes_back_under_the_same_names(self, home: Path, tmp_path: Path) -> None:
        out = tmp_path / "clean"
        good("reconstruct", home / "photos", "-m", home / "photos.safetensors", "-o", out)
        before = sorted(p.relative_to(home / "photos") for p in (home / "photos").rglob("*.png"))
        assert sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file()) == before
        from latente.datasets import open_data

        data = open_data(str(home / "photos"))
        wanted = Autoencoder.load(home / "photos.safetensors").reconstruct(data.X)
        name = Path(data.paths[5]).relative_to(home / "photos")
        assert np.array_equal(pixels(out / name), wanted[5].reshape(8, 8))

    def test_a_table_comes_back_as_a_table(self, home: Path, tmp_path: Path) -> None:
        import pandas as pd

        before = pd.read_csv(home / "table.csv")
        for suffix, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet)):
            path = tmp_path / f"back.{suffix}"
            good("reconstruct", home / "table.csv", "-m", home / "table.safetensors", "-o", path)
            after = read(path)
            assert list(after.columns) == list(before.columns)
            assert set(after["kind"]) <= set(before["kind"])
            assert len(after) == 60
        told = refused(
            2, "reconstruct", home / "table.csv", "-m", home / "table.safetensors",
            "-o", tmp_path / "back.npy",
        )  # fmt: skip
        assert ".csv" in told

    def test_split_takes_the_test_part(self, tmp_path: Path) -> None:
        from latente import datasets

        digits = datasets.load("digits")
        path = tmp_path / "m.safetensors"
        good("fit", "digits", "-o", path, "--limit", 60, *TINY)
        rows = {s: answered("score", "digits", "-m", path, "--split", s)["rows"] for s in
                ("train", "test", "all")}  # fmt: skip
        assert rows["train"] == len(digits.X)
        assert rows["test"] == len(digits.X_test)
        assert rows["all"] == rows["train"] + rows["test"]
        assert "--split" in refused(2, "score", "digits", "-m", path, "--split", "half")

    def test_data_without_a_test_part(self, home: Path) -> None:
        model = home / "rows.safetensors"
        assert "test part" in refused(2, "score", home / "rows.npy", "-m", model, "--split", "test")

    def test_scores_one_a_line(self, home: Path, tmp_path: Path) -> None:
        model = home / "rows.safetensors"
        wanted = Autoencoder.load(model).score_samples(np.load(home / "rows.npy"))
        lines = good("score", home / "rows.npy", "-m", model).stdout.splitlines()
        assert np.array_equal(np.array(lines, dtype=np.float32), wanted)
        good("score", home / "rows.npy", "-m", model, "-o", tmp_path / "s.csv")
        header, *rows = (tmp_path / "s.csv").read_text().splitlines()
        assert header == "score"
        assert np.array_equal(np.array(rows, dtype=np.float32), wanted)

    def test_top_tells_the_most_anomalous(self, home: Path) -> None:
        model = home / "photos.safetensors"
        found = answered("score", home / "photos", "-m", model, "--top", 3)
        scores = answered("score", home / "photos", "-m", model)["scores"]
        assert [row["score"] for row in found["top"]] == sorted(scores)[:3]
        worst = found["top"][0]
        assert scores[worst["row"]] == min(scores)
        assert worst["path"].endswith(".png")
        assert worst["label"] in ("dark", "light")
        shown = good("score", home / "photos", "-m", model, "--top", 3).stdout
        assert "path" in shown
        assert len(shown.strip().splitlines()) == 5

    def test_samples_are_drawn_with_a_seed(self, home: Path, tmp_path: Path) -> None:
        model = home / "pictures.safetensors"
        drawn = []
        for i, seed in enumerate((1, 1, 2)):
            path = tmp_path / f"{i}.npy"
            good("sample", "-m", model, "-n", 9, "--seed", seed, "-o", path)
            drawn.append(np.load(path))
        assert drawn[0].shape == (9, 8, 8)
        assert np.array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])

    def test_samples_as_one_picture_or_many(self, home: Path, tmp_path: Path) -> None:
        model = home / "pictures.safetensors"
        good("sample", "-m", model, "-n", 10, "--seed", 1, "-o", tmp_path / "grid.png")
        good("sample", "-m", model, "-n", 10, "--seed", 1, "-o", tmp_path / "many")
        grid = pixels(tmp_path / "grid.png")
        many = [pixels(path) for path in sorted((tmp_path / "many").iterdir())]
        assert len(many) == 10
        assert (grid[[0, -1]] == 255).all()  # white paper, beneath ten pictures in three rows
        assert grid.shape[0] > 3 * 8 * 6 < grid.shape[1]

    def test_a_walk_starts_and_ends_at_the_rows(self, home: Path, tmp_path: Path) -> None:
        model, path = home / "pictures.safetensors", tmp_path / "walk.npy"
        good("interpolate", home / "pictures.npy", 3, 8, "-m", model, "--steps", 5, "-o", path)
        walk = np.load(path)
        pictures = np.load(home / "pictures.npy")
        ends = Autoencoder.load(model).reconstruct(pictures[[3, 8]])
        assert walk.shape == (5, 8, 8)
        assert np.abs(walk[[0, -1]].astype(int) - ends.astype(int)).max() <= 1
        strip = tmp_path / "walk.png"
        good("interpolate", home / "pictures.npy", 3, 8, "-m", model, "--steps", 5, "-o", strip)
        height, width = pixels(strip).shape[:2]
        assert width > 5 * height  # both originals, and five steps between them
        told = refused(2, "interpolate", home / "pictures.npy", 3, 60, "-m", model)
        assert "0 to 59" in told
        arc = tmp_path / "arc.npy"
        call = ("interpolate", home / "pictures.npy", 3, 8, "-m", model, "--steps", 5, "-o", arc)
        good(*call, "--path", "spherical")
        assert (np.load(arc)[2] != walk[2]).any()

    def test_edited_pictures_keep_their_folders(self, home: Path, tmp_path: Path) -> None:
        for i, picture in enumerate(np.load(home / "pictures.npy")[:2]):
            (tmp_path / "in" / str(i)).mkdir(parents=True)
            Image.fromarray(picture).save(tmp_path / "in" / str(i) / "1.png")
        good(
            "edit", tmp_path / "in", "-m", home / "pictures.safetensors", "-o", tmp_path / "out",
            "--with", home / "pictures.npy", "--without", home / "pictures.npy",
        )  # fmt: skip
        assert len(list((tmp_path / "out").glob("*/1.png"))) == 2

    def test_an_attribute_is_put_on(self, home: Path, tmp_path: Path) -> None:
        model, pictures = home / "pictures.safetensors", np.load(home / "pictures.npy")
        order = np.argsort(pictures.mean((1, 2)))
        for name, rows in (("dark", order[30:]), ("light", order[:30])):
            np.save(tmp_path / f"{name}.npy", pictures[rows])
        path = tmp_path / "edited.npy"
        good(
            "edit", tmp_path / "light.npy", "-m", model, "-o", path,
            "--with", tmp_path / "dark.npy", "--without", tmp_path / "light.npy",
        )  # fmt: skip
        edited, light = np.load(path), np.load(tmp_path / "light.npy")
        assert edited.shape == light.shape
        assert edited.mean() > Autoencoder.load(model).reconstruct(light).mean()

    def test_how_new_samples_are_is_told(self, home: Path) -> None:
        model = home / "pictures.safetensors"
        told = good("sample", "-m", model, "-n", 3, "--nearest", home / "pictures.npy", "--json")
        answer = json.loads(told.stdout)
        assert len(answer["distance"]) == len(answer["nearest"]) == 3
        assert min(answer["distance"]) > 0

    def test_rows_are_no_pictures(self, home: Path, tmp_path: Path) -> None:
        told = refused(2, "sample", "-m", home / "rows.safetensors", "-o", tmp_path / "grid.png")
        assert ".npy" in told
        assert not (tmp_path / "grid.png").exists()

    def test_info_tells_parts_sizes_and_training(self, home: Path) -> None:
        page = good("info", home / "rows.safetensors").stdout
        for word in ("dense(hidden=(16,))", "plain", "parameters", "validation", "adam"):
            assert word in page
        found = answered("info", home / "rows.safetensors")
        assert found["latent_dim"] == 3
        assert len(found["history"]) == 2

    def test_info_tells_the_summary_of_the_fit(self, tmp_path: Path) -> None:
        free = Autoencoder(
            4, network=Dense(hidden=(8,)), bottleneck="gaussian(beta=0)", epochs=15,
            batch_size=64, learning_rate=0.01, random_state=0,
        )  # fmt: skip
        with pytest.warns(TrainingWarning, match="far from the prior"):
            free.fit(datasets.load("digits").X).save(tmp_path / "m.safetensors")
        found = answered("info", tmp_path / "m.safetensors")
        assert len(found["kl_per_dimension"]) == 4
        assert found["dead_units"]["encoder.2"][1] == 8
        assert "far from the prior" in found["warning"]
        page = " ".join(good("info", tmp_path / "m.safetensors").stdout.split())
        assert "dead units" in page
        assert "far from the prior" in page

    def test_export_tells_what_it_wrote(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def export(self: Autoencoder, folder: Path) -> tuple[Path, Path]:
            return folder / "encoder.onnx", folder / "decoder.onnx"

        monkeypatch.setattr(Autoencoder, "export_onnx", export)
        args = ("export", "-m", home / "rows.safetensors", "-o", tmp_path / "onnx")
        written = [str(tmp_path / "onnx" / name) for name in ("encoder.onnx", "decoder.onnx")]
        assert answered(*args)["output"] == written
        assert good(*args).stdout.split() == written


class TestPlot:
    @pytest.mark.parametrize(
        "args",
        [
            ("history",),
            ("reconstructions", "pictures.npy", "-n", 3),
            ("map", "pictures.npy"),
            ("map", "pictures.npy", "--pca", "--limit", 40),
            ("map", "pictures.npy", "--no-thumbnails", "--density", "--range=-9,9", "--dark"),
            ("grid", "-n", 3),
            ("grid", "pictures.npy", "-n", 3, "--dims", "1,0", "--range=-1,1,-2,2"),
            ("filters", "-n", 4, "--layer", "last"),
            ("samples", "-n", 4),
            ("anomalies", "pictures.npy", "-n", 3),
        ],
    )
    def test_each_figure_is_drawn(self, home: Path, tmp_path: Path, args: tuple[Any, ...]) -> None:
        path = tmp_path / "figure.png"
        name, *rest = (home / a if str(a).endswith(".npy") else a for a in args)
        found = answered("plot", name, *rest, "-m", home / "pictures.safetensors", "-o", path)
        assert found == {"output": str(path)}
        drawn = pixels(path)
        assert min(drawn.shape[:2]) > 100
        assert drawn.std() > 0

    def test_other_formats(self, home: Path, tmp_path: Path) -> None:
        model = home / "rows.safetensors"
        for suffix, start in (("svg", b"<?xml"), ("pdf", b"%PDF")):
            path = tmp_path / f"h.{suffix}"
            good("plot", "history", "-m", model, "-o", path)
            assert path.read_bytes().startswith(start)
        assert ".svg" in refused(2, "plot", "history", "-m", model, "-o", tmp_path / "h.bmp")

    def test_dark_figures_are_dark(self, home: Path, tmp_path: Path) -> None:
        args = ("plot", "history", "-m", home / "rows.safetensors", "-o")
        good(*args, tmp_path / "light.png")
        good(*args, tmp_path / "dark.png", "--dark")
        assert pixels(tmp_path / "light.png")[0, 0].min() == 255
        assert pixels(tmp_path / "dark.png")[0, 0, :3].max() < 60

    def test_every_figure_can_be_dark(self) -> None:
        for command in load("plot").commands.values():
            assert "dark" in {option.name for option in command.params}

    def test_classes_by_name(self, home: Path, tmp_path: Path) -> None:
        args = ("plot", "map", home / "photos", "-m", home / "photos.safetensors", "--classes")
        good(*args, "dark", "-o", tmp_path / "map.png")
        told = refused(2, *args, "dark,blue", "-o", tmp_path / "none.png")
        assert "the classes are dark or light" in told
        assert not (tmp_path / "none.png").exists()

    @pytest.mark.parametrize("option", [("--dims", "1"), ("--range", "low,high")])
    def test_numbers_must_be_some(
        self, home: Path, tmp_path: Path, option: tuple[str, str]
    ) -> None:
        args = ("plot", "grid", "-m", home / "pictures.safetensors", "-o", tmp_path / "g.png")
        assert "with commas between" in refused(2, *args, *option)

    def test_shape_must_be_one(self, home: Path, tmp_path: Path) -> None:
        args = ("plot", "samples", "-m", home / "rows.safetensors", "-o", tmp_path / "s.png")
        assert "28x28" in refused(2, *args, "--shape", "5")


class TestRefusals:
    """Bad input: a sentence, an exit code, and nothing left behind."""

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda X: np.where(np.eye(60, 5) > 0, np.nan, X), ["NaN"]),
            (lambda X: np.where(np.eye(60, 5) > 0, np.inf, X), ["inf"]),
            (lambda X: X[:0], ["no"]),
            (lambda X: X[0], ["shape"]),
            (lambda X: X.astype("U9"), ["numbers"]),
        ],
    )
    def test_values(self, home: Path, tmp_path: Path, make: Any, words: list[str]) -> None:
        np.save(tmp_path / "X.npy", make(np.load(home / "rows.npy")))
        told = refused(1, "fit", tmp_path / "X.npy", "-o", tmp_path / "m.safetensors", *TINY)
        assert all(word in told for word in words), told
        assert sorted(path.name for path in tmp_path.iterdir()) == ["X.npy"]

    @pytest.mark.parametrize("shape", [(60, 1), (1, 5), (3, 5)])
    def test_small_data_are_fine(self, tmp_path: Path, shape: tuple[int, int]) -> None:
        np.save(tmp_path / "X.npy", np.random.default_rng(0).normal(size=shape))
        result = run("fit", tmp_path / "X.npy", "-o", tmp_path / "m.safetensors", *TINY)
        assert result.exit_code in (0, 1)
        assert "Traceback" not in result.output
        if result.exit_code == 1:
            assert result.stderr.startswith("latente: ")

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("--epochs", "five"), ("--latent-dim", "0"), ("--learning-rate", "-1"),
            ("--loss", "square"), ("--network", "dense(hiden=[8])"), ("--device", "gpu9"),
            ("--validation-fraction", "1.5"), ("--batch-size", "0"), ("--patience", "0"),
            ("--optimizer", "adam(betas=1)"), ("--scaling", "log"), ("--precision", "int4"),
            ("--seed", "x"), ("--loss", "bernoulli"),
        ],
    )  # fmt: skip
    def test_parameters(self, home: Path, tmp_path: Path, option: str, value: str) -> None:
        args = [*TINY, option, value]
        if option == "--loss":
            args += ["--scaling", "none"]
        told = refused(2, "fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", *args)
        name = option.removeprefix("--").replace("-", "_")
        assert name in told or (name == "seed" and "random_state" in told) or "optimizer" in told
        assert not list(tmp_path.iterdir())

    def test_inputs_that_are_not_there(self, home: Path, tmp_path: Path) -> None:
        model, out = home / "rows.safetensors", tmp_path / "out.npy"
        assert "no.npy" in refused(2, "fit", "no.npy", "-o", tmp_path / "m.safetensors")
        assert "mnits" in refused(2, "fit", "mnits", "-o", tmp_path / "m.safetensors")
        assert "no.npy" in refused(2, "encode", "no.npy", "-m", model, "-o", out)
        assert "no.safetensors" in refused(2, "sample", "-m", "no.safetensors", "-o", out)
        assert "no.safetensors" in refused(2, "info", "no.safetensors")
        assert "no.npy" in refused(2, "decode", "no.npy", "-m", model)

    def test_outputs_that_cannot_be(self, home: Path, tmp_path: Path) -> None:
        rows, model = home / "rows.npy", home / "rows.safetensors"
        assert ".safetensors" in refused(2, "fit", rows, "-o", tmp_path / "m.pt")
        assert "no folder" in refused(2, "fit", rows, "-o", tmp_path / "no" / "m.safetensors")
        assert ".npy" in refused(2, "encode", rows, "-m", model, "-o", tmp_path / "codes.txt")
        assert "folder" in refused(2, "encode", rows, "-m", model, "-o", tmp_path)
        (tmp_path / "file").write_text("")
        assert "file" in refused(2, "export", "-m", model, "-o", tmp_path / "file")

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_that_cannot_be_written(self, home: Path, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        told = refused(2, "fit", home / "rows.npy", "-o", tmp_path / "m.safetensors")
        assert "written" in told

    def test_the_input_is_never_the_output(self, home: Path, tmp_path: Path) -> None:
        codes = tmp_path / "codes.npy"
        good("encode", home / "rows.npy", "-m", home / "rows.safetensors", "-o", codes)
        before = codes.read_bytes()
        told = refused(2, "decode", codes, "-m", home / "rows.safetensors", "-o", codes)
        assert "overwrite" in told
        assert codes.read_bytes() == before
        photos = home / "photos"
        told = refused(2, "reconstruct", photos, "-m", home / "photos.safetensors", "-o", photos)
        assert "overwrite" in told

    def test_other_data_than_at_fit(self, home: Path, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        np.save(tmp_path / "wide.npy", rng.normal(size=(4, 6)))
        np.save(tmp_path / "large.npy", rng.integers(0, 256, (4, 9, 9), dtype=np.uint8))
        assert "5" in refused(1, "encode", tmp_path / "wide.npy", "-m", home / "rows.safetensors")
        told = refused(1, "encode", tmp_path / "large.npy", "-m", home / "pictures.safetensors")
        assert "8" in told
        assert "3" in refused(1, "decode", tmp_path / "wide.npy", "-m", home / "rows.safetensors")

    def test_files_that_are_broken(self, home: Path, tmp_path: Path) -> None:
        model = home / "rows.safetensors"
        (tmp_path / "cut.npy").write_bytes((home / "rows.npy").read_bytes()[:200])
        (tmp_path / "cut.safetensors").write_bytes(model.read_bytes()[:-100])
        (tmp_path / "text.safetensors").write_text("no model at all, only words" * 9)
        (tmp_path / "row.csv").write_text("a,b,c\n1,2,3\n4,5\n6,7,8\n")
        (tmp_path / "train.gz").write_bytes(b"\x1f\x8b\x08\x00" + b"\0" * 20)
        (tmp_path / "empty").mkdir()
        assert "cut.npy" in refused(1, "encode", tmp_path / "cut.npy", "-m", model)
        for name in ("cut", "text"):
            assert name in refused(1, "info", tmp_path / f"{name}.safetensors")
        for name in ("row.csv", "train.gz", "empty"):
            told = refused(1, "fit", tmp_path / name, "-o", tmp_path / "m.safetensors")
            assert name in told

    def test_a_full_disk(self, home: Path) -> None:
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full here")
        command = [sys.executable, "-m", "latente", "parts", "--json"]
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("latente: ")
        assert "Traceback" not in done.stderr

    def test_an_output_stays_where_the_work_fails(self, home: Path, tmp_path: Path) -> None:
        path = tmp_path / "codes.npy"
        path.write_bytes(b"before")
        np.save(tmp_path / "wide.npy", np.zeros((4, 6)))
        refused(1, "encode", tmp_path / "wide.npy", "-m", home / "rows.safetensors", "-o", path)
        assert path.read_bytes() == b"before"

    def test_errors_nobody_foresaw_are_told_in_a_line(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*args: object, **more: object) -> None:
            raise ZeroDivisionError("by zero")

        monkeypatch.setattr(Autoencoder, "sample", broken)
        told = refused(1, "sample", "-m", home / "rows.safetensors")
        assert "ZeroDivisionError: by zero" in told
        assert "LATENTE_DEBUG=1" in told
        monkeypatch.setenv("LATENTE_DEBUG", "1")
        assert isinstance(
            run("sample", "-m", home / "rows.safetensors").exception, ZeroDivisionError
        )

    def test_usage_errors_exit_with_2(self, home: Path) -> None:
        for args in (["fit"], ["nothing"], ["fit", "digits", "--nothing"], ["score", "digits"]):
            result = run(*args)
            assert result.exit_code == 2
            assert result.stdout == ""
            assert "Usage" in result.stderr

    def test_who_reads_may_leave_early(self) -> None:
        command = [sys.executable, "-m", "latente", "parts", "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            told = process.stderr.read()
        assert told == b""


class TestCatalogue:
    def test_demo_writes_its_page(self, tmp_path: Path) -> None:
        shown = good("demo", "--quick", "-o", tmp_path / "demo").stdout
        page = (tmp_path / "demo" / "demo.html").read_text("utf-8")
        assert page.startswith("<!doctype html>")
        models = tmp_path / "demo" / "models" / "demo-quick"
        assert f"latente info {models}" in shown
        assert (models / "plain.safetensors").exists()

    def test_a_recipe_runs_and_is_listed(self, tmp_path: Path) -> None:
        found = answered("recipe", "run", "font", "--quick", "-o", tmp_path)
        assert [record["recipe"] for record in found["records"]] == ["font"]
        shown = good("recipe", "run", "font", "--quick", "-o", tmp_path)
        assert "as-given was fitted before" in shown.stderr
        assert str(tmp_path / "font.html") in shown.stdout
        names = [each["name"] for each in answered("recipe", "list")["recipes"]]
        assert "font" in names
        assert all(name in good("recipe", "list").stdout for name in names)
        good("recipe", "index", tmp_path)
        assert "font.html" in (tmp_path / "index.html").read_text("utf-8")
        assert "did you mean 'font'" in refused(2, "recipe", "run", "fonts", "-o", tmp_path)
        assert "--all" in refused(2, "recipe", "run", "-o", tmp_path)
        assert "no language 'fr'" in refused(2, "recipe", "run", "font", "--lang", "fr")

    def test_datasets_are_listed(self) -> None:
        found = answered("datasets")
        names = [each["name"] for each in found["datasets"]]
        assert {"digits", "font", "shapes", "mnist"} <= set(names)
        page = good("datasets").stdout
        assert all(name in page for name in names)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    X = np.random.default_rng(0).normal(size=(60, 3)) * (1, 10, 100)
    gaps = X.copy()
    gaps[7, 1] = np.nan
    for name, values, header in (
        ("rows", X, "one,ten,hundred"),
        ("turned", np.column_stack([np.ones(60), X[:, ::-1]]), "more,hundred,ten,one"),
        ("other", X, "one,ten,thousand"),
        ("gaps", gaps, "one,ten,hundred"),
        ("places", X, ""),
    ):
        np.savetxt(folder / f"{name}.csv", values, delimiter=",", header=header, comments="")
    good("fit", folder / "rows.csv", "-o", folder / "rows.safetensors", *TINY)
    good("fit", folder / "gaps.csv", "-o", folder / "gaps.safetensors", *TINY)
    return folder


class TestColumns:
    """Columns of a file are found by the names that the model was fitted on."""

    @pytest.mark.parametrize("model", ["rows", "gaps"])
    def test_their_order_is_free_and_others_are_left_out(self, tables: Path, model: str) -> None:
        args = ("-m", tables / f"{model}.safetensors")
        for command in ("encode", "reconstruct", "score"):
            straight, turned = (
                good(command, tables / f"{name}.csv", *args).stdout for name in ("rows", "turned")
            )
            assert straight == turned
        assert good("reconstruct", tables / "rows.csv", *args).stdout.startswith(
            "one,ten,hundred\n"
        )

    def test_what_is_not_there_is_told(self, tables: Path) -> None:
        rows, gaps = tables / "rows.safetensors", tables / "gaps.safetensors"
        for model in (rows, gaps):
            told = refused(1, "score", tables / "other.csv", "-m", model)
            assert "no column 'hundred'" in told
        assert "name its columns" in refused(1, "score", tables / "places.csv", "-m", gaps)

    def test_a_gap_that_the_fit_did_not_meet_is_filled(self, tables: Path, tmp_path: Path) -> None:
        rows, detector = tables / "rows.safetensors", tmp_path / "d.safetensors"
        found = answered("score", tables / "gaps.csv", "-m", rows)
        assert np.isfinite(found["scores"]).all()
        good("detect", tables / "rows.csv", "--fit", "-o", detector)
        assert answered("detect", tables / "gaps.csv", "-m", detector, "--top", 3)["rows"] == 60

    def test_without_names_they_are_found_by_their_place(
        self, tables: Path, tmp_path: Path
    ) -> None:
        named, nameless = tables / "rows.csv", tables / "places.csv"
        model = tmp_path / "m.safetensors"
        good("fit", nameless, "-o", model, *TINY)
        for path in (tables / "rows.safetensors", model):
            assert (
                good("encode", named, "-m", path).stdout
                == good("encode", nameless, "-m", path).stdout
            )
        np.savetxt(tmp_path / "gap.csv", [[1, np.nan, 3], [4, 5, 6]], delimiter=",")
        assert len(answered("score", tmp_path / "gap.csv", "-m", model)["scores"]) == 2
        np.save(tmp_path / "rows.npy", np.loadtxt(nameless, delimiter=","))
        assert (
            good("encode", tmp_path / "rows.npy", "-m", model).stdout
            == good("encode", nameless, "-m", model).stdout
        )

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_whole_numbers_come_back_whole(self, tmp_path: Path, suffix: str) -> None:
        import pandas as pd

        ids = 2**40 + 1000 * np.arange(50)
        frame = pd.DataFrame({"id": ids, "n": np.arange(50) % 9, "x": np.linspace(0.5, 9, 50)})
        file, model, back = (tmp_path / f"{n}.{suffix}" for n in ("f", "m", "b"))
        frame.to_csv(file, index=False) if suffix == "csv" else frame.to_parquet(file)
        model = model.with_suffix(".safetensors")
        good("fit", file, "-o", model, *TINY)
        good("reconstruct", file, "-m", model, "-o", back)
        found = pd.read_csv(back) if suffix == "csv" else pd.read_parquet(back)
        assert found.dtypes.tolist() == [np.dtype("i8"), np.dtype("i8"), np.dtype("f8")]
        assert np.abs(found["id"] - ids).max() < 1e6
        good("reconstruct", file, "-m", model, "-o", tmp_path / "b.npy")
        assert np.load(tmp_path / "b.npy").shape == (50, 3)

    def test_unseen_categories_are_told_or_refused(self, tmp_path: Path) -> None:
        old, new = tmp_path / "old.csv", tmp_path / "new.csv"
        old.write_text("city,size\n" + "Lima,1.5\nFaro,2\n" * 20)
        new.write_text("city,size\nLima,1.5\nRome,2\n")
        strict, free = tmp_path / "s.safetensors", tmp_path / "f.safetensors"
        good("fit", old, "-o", free, *TINY)
        told = good("score", new, "-m", free).stderr
        assert told.count("column 'city' has levels that the fit never saw: 'Rome'") == 1
        good("fit", old, "-o", strict, "--unseen", "error", *TINY)
        assert "'Rome' at row 1" in refused(1, "score", new, "-m", strict)
        good("detect", old, "--fit", "-o", strict, "--unseen", "error")
        assert "'Rome' at row 1" in refused(1, "detect", new, "-m", strict)


class TestInfoOfOtherFiles:
    def test_a_detector(self, home: Path, tmp_path: Path) -> None:
        path = tmp_path / "d.safetensors"
        good("detect", home / "rows.npy", "--fit", "-o", path, "--threshold", "quantile(rate=0.1)")
        found = answered("info", path)
        assert found["kind"] == "anomaly detector"
        assert found["threshold_rule"] == {"name": "quantile", "rate": 0.1}
        assert "--config is for models" in refused(2, "info", path, "--config")
        path.write_bytes(path.read_bytes()[:-9])
        assert "cut short" in refused(1, "info", path)

    def test_an_index(self, home: Path, tmp_path: Path) -> None:
        path = tmp_path / "rows.index"
        good("index", home / "rows.npy", "-m", home / "rows.safetensors", "-o", path)
        found = answered("info", path)
        assert (found["kind"], found["rows"], found["latent_dim"]) == ("index", 60, 3)

    def test_an_archive(self, tmp_path: Path) -> None:
        from latente.codec.archive import pack

        path = tmp_path / "a.latz"
        data = pack({}, [b"first", b"second"])
        path.write_bytes(data)
        found = answered("info", path)
        assert (found["kind"], found["samples"], found["whole"]) == ("archive", 2, 2)
        place = data.index(b"second")
        path.write_bytes(data[:place] + b"SECOND" + data[place + 6 :])
        assert answered("info", path)["whole"] == 1


class TestTexts:
    """Texts, one a line, go in and come out so."""

    def test_they_are_learned_and_come_back(self, tmp_path: Path) -> None:
        file, model, output = (tmp_path / name for name in ("t.txt", "t.safetensors", "back.txt"))
        lines = ["the cat sleeps", "a dog runs", "the dog sleeps", "a cat runs"] * 20
        file.write_text("\n".join(lines) + "\n\n")
        network = "recurrent(hidden=32)"
        good(
            "fit", file, "-o", model, "--epochs", 40, "--network", network, "--latent-dim", 8,
            "--learning-rate", 0.01,
        )  # fmt: skip
        good("reconstruct", file, "-m", model, "-o", output)
        assert output.read_text().splitlines() == lines
        assert good("reconstruct", file, "-m", model, "--limit", 1).stdout == "the cat sleeps\n"
        assert answered("sample", "-m", model, "-n", 3)["shape"] == [3]
        assert ".txt" in refused(2, "reconstruct", file, "-m", model, "-o", tmp_path / "x.npy")

    def test_numbers_are_not_written_as_text(self, home: Path, tmp_path: Path) -> None:
        where = tmp_path / "x.txt"
        model = home / "rows.safetensors"
        message = refused(2, "reconstruct", home / "rows.npy", "-m", model, "-o", where)
        assert ".npy" in message


# ── before anything is loaded ──────────────────────────────

AT_WORK = """
import io, json, sys

class Terminal(io.StringIO):
    def isatty(self):
        return True
    def write(self, text):
        told.append([text + "", [name for name in %r if name in sys.modules]])
        return len(text)

told, sys.stderr = [], Terminal()
from latente.cli.main import app
try:
    app(json.loads(sys.argv[1]))
except SystemExit:
    pass
print(json.dumps(told))
"""


def told_at_a_terminal(folder: Path, *args: str) -> list[Any]:
    command = [sys.executable, "-c", AT_WORK % (HEAVY,), json.dumps(args)]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    found: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_command_says_that_it_is_at_work_before_it_loads_anything(tmp_path: Path) -> None:
    first, *rest = told_at_a_terminal(tmp_path, "fit", "nothing.csv", "-o", "m.safetensors")
    assert first == ["latente: working …", []]
    assert rest[0][0] == "\r\x1b[2K"
    assert "nothing.csv: there is no such file" in "".join(text for text, _ in rest[1:])
    quiet = told_at_a_terminal(tmp_path, "fit", "nothing.csv", "-o", "m.safetensors", "--quiet")
    assert "working" not in "".join(text for text, _ in quiet)


def test_what_a_command_prints_first_takes_the_lines_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    before = sys.stdout, sys.stderr
    with waiting(True):
        print("1,2")
        print("done", file=sys.stderr)
    printed = capsys.readouterr()
    assert printed.out == "1,2\n"
    assert printed.err == "latente: working …\r\x1b[2Kdone\n"
    assert (sys.stdout, sys.stderr) == before
    monkeypatch.setenv("TERM", "dumb")
    with waiting(True):
        print("1,2")
    assert capsys.readouterr() == ("1,2\n", "")


READ = ("DATA", "FILE", "PATH", "INDEX", "QUERY", "CODES", "ARCHIVE")
"""How options and arguments that name what is read are called in the help."""


def written_and_read() -> list[tuple[tuple[str, ...], str, str]]:
    """Every command, and sub-command, with an option it writes to and another it reads from."""
    found = []
    for name in COMMANDS:
        command = load(name)
        subcommands = getattr(command, "commands", None)
        each = {(name,): command} if subcommands is None else {
            (name, key): sub for key, sub in subcommands.items()
        }  # fmt: skip
        for words, one in each.items():
            options = {option.name: option for option in one.params}
            for output in {"output", "sheet", "export"} & set(options):
                found += [
                    (words, output, option.name)
                    for option in one.params
                    if option.metavar in READ and option.name not in OUTPUTS
                ]
    return found


class TestOriginals:
    """What a command reads it never overwrites, by whatever path."""

    def test_there_are_commands_that_read_and_write(self) -> None:
        assert {words[0] for words, _, _ in written_and_read()} >= {
            "fit", "encode", "decode", "reconstruct", "score", "detect", "compress", "decompress",
            "sample", "interpolate", "edit", "index", "search", "plot", "export",
        }  # fmt: skip

    @pytest.mark.parametrize("number", range(len(written_and_read())))
    def test_no_output_is_an_input(
        self, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        words, output, source = written_and_read()[number]
        monkeypatch.chdir(tmp_path)
        suffix = {
            "fit": ".safetensors", "compress": ".latz", "index": ".index", "search": ".png",
            "plot": ".png", "export": "", "study": ".journal",
            "detect": ".safetensors" * (source == "validation"),
        }.get(words[0], ".npy") or ("" if words[0] == "export" else ".npy")  # fmt: skip
        original, other = tmp_path / f"original{suffix}", tmp_path / f"other{suffix}"
        original.write_bytes(b"precious") if suffix else original.mkdir()
        way = number % (4 if suffix else 3)
        if way == 0:
            other = original
        elif way == 1:
            other = Path(original.name)
        else:
            (os.symlink if way == 2 else os.link)(original, other)
        command = load(words[0])
        one = command.commands[words[1]] if words[1:] else command
        args: list[object] = [*words]
        for option in one.params:
            given = {output: other, source: original}.get(option.name)
            if given is not None or option.required:
                flag = [] if option.param_type_name == "argument" else [option.opts[0]]
                args += [*flag, "1" if given is None else given]
        if words[0] == "detect":
            args += ["--fit"] if source == "validation" else ["-m", "1"] * (source != "model")
        assert "overwrite" in refused(2, *args)
        assert not suffix or original.read_bytes() == b"precious"

    def test_a_picture_is_not_replaced_in_its_own_folder(self, home: Path, tmp_path: Path) -> None:
        photos = tmp_path / "photos"
        shutil.copytree(home / "photos", photos)
        model = home / "photos.safetensors"
        before = {path: path.read_bytes() for path in photos.rglob("*.png")}
        one = photos / "dark" / "p0.png"
        assert "overwrite" in refused(2, "reconstruct", one, "-m", model, "-o", one.parent)
        (photos / "dark" / "dark").mkdir()
        os.link(one, photos / "dark" / "dark" / "p0.png")
        told = refused(2, "reconstruct", photos, "-m", model, "-o", photos / "dark")
        assert "overwrite" in told
        os.symlink(photos, tmp_path / "link")
        told = refused(2, "reconstruct", photos, "-m", model, "-o", tmp_path / "link")
        assert "overwrite" in told
        for path, content in before.items():
            assert path.read_bytes() == content
        good("reconstruct", one, "-m", model, "-o", photos / "new")

    def test_a_target_in_a_toml_file_is_an_input_too(self, home: Path, tmp_path: Path) -> None:
        target = tmp_path / "x.safetensors"
        target.write_bytes(b"precious")
        config = tmp_path / "fit.toml"
        config.write_text(f"target = {json.dumps(str(target))}\n")
        told = refused(2, "fit", home / "rows.npy", "-o", target, "--config", config)
        assert "overwrite" in told


class TestNumbersAsText:
    def test_options_say_how_a_table_is_written(self, tmp_path: Path) -> None:
        path, model = tmp_path / "x.csv", tmp_path / "m.safetensors"
        rows = [f"{i},{i % 10};{i + 1}.000;{'äö'[i % 2]}" for i in range(30)]
        path.write_bytes("\n".join(["größe;zahl;art", *rows]).encode("cp1252"))
        how = ("--decimal", ",", "--thousands", ".", "--encoding", "cp1252")
        good("fit", path, "-o", model, *TINY, *how)
        out = tmp_path / "out.csv"
        good("reconstruct", path, "-m", model, "-o", out, *how)
        with out.open(encoding="utf-8", newline="") as file:
            header, *cells = csv.reader(file)
        assert header == ["größe", "zahl", "art"]
        assert np.mean([float(row[1]) for row in cells]) > 1000
        assert {row[2] for row in cells} <= {"ä", "ö"}

    def test_what_is_ambiguous_is_told_on_stderr(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a;b\n" + "5,07;8.293\n6,5;7.111\n" * 10)
        result = good("fit", path, "-o", tmp_path / "m.safetensors", *TINY)
        assert "column 'b': '8.293' is read as 8293" in result.stderr
        assert "--thousands none" in result.stderr


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formulas")
    rows = [f"{i - 15},{('=1+1', '@x', '-5', 'a-b')[i % 4]},{i % 2}" for i in range(40)]
    (folder / "x.csv").write_text("\n".join(["-n,word,y", *rows]) + "\n")
    good("fit", folder / "x.csv", "-o", folder / "m.safetensors", *TINY)
    return folder


class TestFormulas:
    """A spreadsheet runs what begins with =, +, - or @."""

    @pytest.mark.parametrize("to", ["file", "stdout"])
    def test_they_are_marked_as_text(self, table: Path, to: str) -> None:
        command = ("reconstruct", table / "x.csv", "-m", table / "m.safetensors")
        for flag, words in (
            ((), {"'=1+1", "'@x", "-5", "a-b"}),
            (("--escape-formulas",), {"'=1+1", "'@x", "-5", "a-b"}),
            (("--no-escape-formulas",), {"=1+1", "@x", "-5", "a-b"}),
        ):
            if to == "file":
                good(*command, "-o", table / "out.csv", *flag)
                text = (table / "out.csv").read_text()
            else:
                text = good(*command, *flag).stdout
            header, *rows = csv.reader(io.StringIO(text))
            assert header[0] == ("-n" if flag == ("--no-escape-formulas",) else "'-n")
            assert {row[1] for row in rows} <= words
            assert any(row[0].startswith("-") for row in rows)

    @pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
    def test_in_frames_of_any_library(self, library: str) -> None:
        columns = {"@n": [-1.5, 2.0], "=a": ["=1", None], "c": ["x", "+y"]}
        table = pa.table(columns)
        frames = {"pandas": table.to_pandas, "polars": lambda: pl.DataFrame(columns)}
        frame = frames.get(library, lambda: table)()
        file = io.StringIO()
        _write_csv(frame, (), file, escape=True)
        header, *rows = csv.reader(io.StringIO(file.getvalue()))
        assert header == ["'@n", "'=a", "c"]
        assert [row[1:] for row in rows] == [["'=1", "x"], ["", "'+y"]]
        assert [float(row[0]) for row in rows] == [-1.5, 2.0]


class TestPrinting:
    def test_controls_and_halves_of_characters_are_escaped(self) -> None:
        assert printable("a\x1b[2Jb\n\udc80é") == "a\\x1b[2Jb\\n\\udc80é"

    @given(st.text(st.characters(codec=None)))
    def test_what_is_printed_is_printable_and_all_there(self, text: str) -> None:
        shown = printable(text)
        assert shown.isprintable()
        assert printable(shown) == shown
        shown.encode("utf-8")

    def test_what_is_left_out_of_a_long_text_shows(self) -> None:
        assert printable("abcdef", 6) == "abcdef"
        assert printable("ab\x1bcdef", 3) == "ab\\x1b..."

    @pytest.mark.skipif(os.name != "posix", reason="names are text here")
    def test_names_of_files_that_are_no_text(self, home: Path, tmp_path: Path) -> None:
        for i, name in enumerate((b"a\xff", b"b\x1b[2J", b"c")):
            folder = os.path.join(os.fsencode(tmp_path), b"photos", name)
            os.makedirs(folder)
            for j in range(3):
                shutil.copy(
                    home / "photos" / "dark" / f"p{2 * (i + j)}.png",
                    os.path.join(folder, b"%d.png" % j),
                )
        command = ("score", tmp_path / "photos", "-m", home / "photos.safetensors", "--top", "9")
        shown = good(*command).stdout
        assert "a\\udcff" in shown
        assert "b\\x1b[2J" in shown
        assert "\x1b" not in shown
        assert len(answered(*command)["top"]) == 9

    def test_names_of_columns(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_text("a\x1b[2J,b\n" + "1,2\n3,4\n" * 10)
        good("fit", path, "-o", tmp_path / "m.safetensors", *TINY)
        detector = tmp_path / "d.safetensors"
        assert "\x1b" not in good("detect", path, "--fit", "-o", detector).output
        assert "\x1b" not in good("info", tmp_path / "m.safetensors").output
        path.write_text("c,b\n1,2\n")
        assert "\x1b" not in refused(1, "detect", path, "-m", detector)


class TestSpecialFiles:
    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
    def test_pipes_are_not_waited_for(self, home: Path, tmp_path: Path) -> None:
        pipe, model = tmp_path / "pipe.csv", home / "rows.safetensors"
        os.mkfifo(pipe)
        out = tmp_path / "m.safetensors"
        for command in (
            ("fit", pipe, "-o", out),
            ("fit", home / "rows.npy", "-o", out, "--target", pipe),
            ("fit", home / "rows.npy", "-o", out, "--config", pipe),
            ("encode", home / "rows.npy", "-m", pipe),
            ("encode", pipe, "-m", model),
            ("decode", pipe, "-m", model),
            ("info", pipe),
            ("search", pipe, home / "rows.npy"),
            ("decompress", pipe, "-o", tmp_path / "out"),
        ):
            result = run(*command)
            assert result.exit_code in (1, 2)
            assert "pipe.csv" in result.stderr
            assert result.stderr.count("\n") == 1

    def test_an_index_that_names_a_path_too_long(self, home: Path, tmp_path: Path) -> None:
        index = tmp_path / "x.index"
        stored = IndexFile(
            codes=StoredRows([torch.zeros(2, 3)]), paths=Names.of(["p" * 5000, "q"]),
            metric="euclidean", engine="exact",
            fingerprint=None, model=tmp_path / ("n" * 5000),
        )  # fmt: skip
        stored.write(index)
        told = refused(1, "search", index, home / "rows.npy")
        assert "is not there" in told
        assert len(told) < 500
        command = ("search", index, home / "rows.npy", "-m", home / "rows.safetensors", "-k", "1")
        result = good(*command, "--limit", "1", "--sheet", tmp_path / "x.png")
        assert "is not there" in result.stderr


class TestTomlTypes:
    @pytest.mark.parametrize(
        "text",
        [
            "epochs = [1]", "epochs = 2020-01-01", "epochs = {a = 1}", "epochs = 'many'",
            "latent_dim = 2.5", "latent_dim = -3", "batch_size = true", "learning_rate = 'fast'",
            "learning_rate = nan", "seed = 'x'", "seed = -1", "device = 5", "precision = 5",
            "layout = 5", "scaling = 5", "patience = 1.5", "gradient_clip = 'x'",
            "validation_fraction = 'x'", "weight_decay = 'x'", "loss = 5", "network = [1]",
            "corruption = [1]", "corruption = {name = 5}", "limit = 'x'", "target = 5",
            "decimal = 5", "bottleneck = {name = 'gaussian', beta = {a = 1}}",
            "network = {name = 'dense', hidden = 'x'}", "network = {name = 'dense', hidden = [1.5]}",  # noqa: E501
            "optimizer = 5", "schedule = 2020-01-01", "epochs = " + "[" * 500 + "]" * 500,
        ],
    )  # fmt: skip
    def test_a_value_of_another_type_is_told_with_the_file(
        self, home: Path, tmp_path: Path, text: str
    ) -> None:
        config = tmp_path / "odd.toml"
        config.write_text(text + "\n")
        told = refused(
            2, "fit", home / "rows.npy", "-o", tmp_path / "m.safetensors", "--config", config
        )
        assert "odd.toml" in told
