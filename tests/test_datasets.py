"""Data sets by name: what is bundled, what is drawn, and what is fetched once and checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from latente import DataError, FileError, ParameterError, datasets
from latente.datasets import cifar, download, mnist, shapes
from latente.datasets.catalogue import DATASETS

REAL = os.environ.get("LATENTE_DATA")
needs_data = pytest.mark.skipif(not REAL, reason="LATENTE_DATA names no folder with the real sets")
OFFLINE = ("digits", "font", "shapes")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cache and no copies but what a test makes."""
    monkeypatch.setenv("LATENTE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LATENTE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setenv("LATENTE_DATA", str(folder))
    return folder


class Server(ThreadingHTTPServer):
    """A server on this machine: what it has by path, how it misbehaves, and what it was asked."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.done = threading.Event()
        self.has: dict[str, bytes] = {}
        self.manner: dict[str, str] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        manner = self.server.manner.get(name, "")
        if name not in self.server.has:
            self.send_error(404)
            return
        content = self.server.has[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if manner == "hangs":
            self.wfile.write(content[:9])
            self.wfile.flush()
            self.close_connection = True
            self.server.done.wait(10)
        else:
            self.wfile.write(content[: len(content) // 2] if manner == "stops" else content)
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.done.set()
        server.shutdown()
        thread.join()


def sha(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def idx(array: NDArray[np.uint8]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(head + array.tobytes())


def tiny_mnist() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    arrays = [
        part
        for n in (6, 3)
        for part in (rng.integers(256, size=(n, 4, 4), dtype="u1"), np.arange(n, dtype="u1"))
    ]
    return dict(zip(mnist.FILES, map(idx, arrays), strict=True))


@pytest.fixture
def mirror(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that has a tiny MNIST."""
    server.has = tiny_mnist()
    monkeypatch.setitem(mnist.MIRRORS, "mnist", (server.url,))
    monkeypatch.setitem(mnist.DIGESTS, "mnist", tuple(map(sha, server.has.values())))
    return server


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class TestByName:
    @pytest.mark.parametrize("name", OFFLINE)
    def test_offline_sets(self, name: str) -> None:
        data = datasets.load(name, n=40)
        assert data.name == name
        assert len(data) == 40
        assert data.y is not None
        assert data.y.dtype == np.int64
        assert data.classes is not None
        assert 0 <= data.y.min() <= data.y.max() < len(data.classes)
        assert data.source == DATASETS[name].source
        again = datasets.load(name, n=40)
        assert np.array_equal(data.X, again.X)
        assert not np.array_equal(data.X, datasets.load(name, n=40, random_state=1).X)

    def test_misspelt(self) -> None:
        with pytest.raises(ParameterError, match="did you mean 'mnist'"):
            datasets.load("mnits")
        with pytest.raises(ParameterError, match="did you mean 'fashion-mnist'"):
            datasets.load("Fashion_MNIST")
        with pytest.raises(ParameterError, match="digits, font, shapes"):
            datasets.load("zzz")

    @pytest.mark.parametrize("n", [0, -1, 2.5, "many"])
    @pytest.mark.parametrize("name", OFFLINE)
    def test_n_must_be_a_number(self, name: str, n: Any) -> None:
        with pytest.raises(ParameterError, match="n="):
            datasets.load(name, n=n)

    def test_describe(self) -> None:
        told = datasets.describe()
        assert tuple(told) == datasets.names()
        for name, entry in told.items():
            assert entry.credit
            assert entry.origin in ("bundled", "generated", "downloaded"), name
            assert (entry.megabytes > 0) == (entry.origin == "downloaded")
        assert "AT&T Laboratories Cambridge" in told["faces"].source

    @pytest.mark.parametrize("name", ["digits", "font"])
    def test_sizes_are_as_described(self, name: str) -> None:
        data = datasets.load(name)
        test = [] if data.X_test is None else [f"{len(data.X_test):,}"]
        first = " + ".join([f"{len(data):,}", *test])
        assert DATASETS[name].size == " × ".join([first, *map(str, data.shape)])


class TestDigits:
    def test_they_are_scikit_learns_and_split_evenly(self) -> None:
        from sklearn.datasets import load_digits

        data, bunch = datasets.load("digits"), load_digits()
        assert data.X.dtype == np.float32
        assert data.X.min() == 0
        assert data.X.max() == 16
        both = np.concatenate([data.X, data.X_test]).reshape(-1, 64)
        assert sorted(map(bytes, both)) == sorted(map(bytes, bunch.data.astype(np.float32)))
        assert data.y is not None
        assert data.y_test is not None
        share = np.bincount(data.y_test) / np.bincount(bunch.target)
        assert share.min() > 0.19
        assert share.max() <= 0.2

    def test_n_leaves_the_test_part_alone(self) -> None:
        assert len(datasets.load("digits", n=10).X_test) == 355


class TestFont:
    def test_glyphs(self) -> None:
        data = datasets.load("font")
        assert data.X.shape == (96, 7, 5)
        assert data.X.dtype == np.uint8
        assert np.unique(data.X).tolist() == [0, 1]
        assert data.classes == tuple(map(chr, range(0x20, 0x80)))
        assert data.y is not None
        glyphs = dict(zip(data.classes, data.X.tolist(), strict=True))
        assert ["".join(".#"[pixel] for pixel in row) for row in glyphs["A"]] == [
            "..#..", ".#.#.", "#...#", "#...#", "#####", "#...#", "#...#",
        ]  # fmt: skip
        assert not np.any(glyphs[" "])
        assert np.argwhere(data.X[data.classes.index("/")])[0].tolist() == [0, 4]

    def test_they_are_all_distinct_but_for_the_empty_ones(self) -> None:
        X = datasets.load("font").X
        assert len(np.unique(X.reshape(96, -1), axis=0)) == 95
        assert not X[-1].any()

    @needs_data
    def test_they_are_the_exercises(self) -> None:
        lines = Path(REAL or "", "font", "glyphs.csv").read_text().splitlines()[1:]
        codes = np.array([[int(field, 16) for field in line.split(",")[1:]] for line in lines])
        assert np.array_equal(datasets.load("font").X, codes[..., None] >> np.arange(4, -1, -1) & 1)


class TestShapes:
    def test_the_first_do_not_depend_on_how_many(self) -> None:
        few, many = datasets.load("shapes", n=10), datasets.load("shapes", n=100)
        assert np.array_equal(few.X, many.X[:10])
        assert np.array_equal(few.X_test, many.X_test[:2])
        assert not np.array_equal(many.X[:20], many.X_test)

    def test_sizes(self) -> None:
        for n in (1, 3, 101):
            data = datasets.load("shapes", n=n)
            assert data.X.shape == (n, 28, 28)
            assert data.X.dtype == np.uint8
            assert len(data.X_test) == max(1, n // 5)
        assert data.y is not None
        assert np.bincount(data.y).tolist() == [26, 25, 25, 25]

    def test_seeds(self) -> None:
        first, second = (datasets.load("shapes", n=4, random_state=None) for _ in range(2))
        assert not np.array_equal(first.X, second.X)
        with pytest.raises(ParameterError, match="random_state"):
            datasets.load("shapes", n=4, random_state=-1)

    def test_ink_is_white_and_within_the_frame(self) -> None:
        X = datasets.load("shapes", n=200).X.astype(float) / 255
        edge = np.concatenate([X[:, 0], X[:, -1], X[:, :, 0], X[:, :, -1]], axis=1)
        assert edge.mean() < 0.03
        assert 0.05 < X.mean() < 0.3
        assert X.max(axis=(1, 2)).min() > 0.9

    def test_noise_is_about_what_is_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        noisy = datasets.load("shapes", n=64).X
        monkeypatch.setattr(shapes, "NOISE", 0.0)
        clean = datasets.load("shapes", n=64).X
        dark = clean == 0
        assert 0.007 * 255 < noisy[dark].mean() < 0.013 * 255
        assert np.abs(noisy.astype(int) - clean).max() < 60

    def test_areas_are_those_of_the_shapes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Drawn at one size without stretching, each kind covers what geometry says."""
        monkeypatch.setattr(shapes, "NOISE", 0.0)
        monkeypatch.setattr(shapes, "STRETCH", 1.0)
        monkeypatch.setattr(shapes, "RADIUS", (80.0, 80.0))
        data = datasets.load("shapes", n=64)
        area = data.X.sum(axis=(1, 2)) / 255 * (200 / 28) ** 2 / 80**2
        sine = np.sin(np.pi / 5) * np.sin(np.pi / 10) / np.sin(3 * np.pi / 10)
        wanted = [np.pi * shapes.CIRCLE**2, 2, 0.75 * 3**0.5, 5 * sine]
        assert data.y is not None
        for kind, exact in enumerate(wanted):
            assert np.allclose(area[data.y == kind], exact, rtol=0.01)

    def test_kinds_can_be_told_apart(self) -> None:
        """By how much of the box around it a shape fills, whichever way it lies."""
        data = datasets.load("shapes", n=400)
        assert data.y is not None
        ink = data.X > 127
        rows, columns = ink.any(axis=2).sum(axis=1), ink.any(axis=1).sum(axis=1)
        filled = ink.sum(axis=(1, 2)) / (rows * columns)
        circle, square, triangle, star = (filled[data.y == kind].mean() for kind in range(4))
        assert star < triangle < square < circle + 0.1
        assert 0.72 < circle < 0.85


class TestFetching:
    def test_once(self, mirror: Server, tmp_path: Path) -> None:
        data = datasets.load("mnist")
        assert data.X.shape == (6, 4, 4)
        assert data.X_test.shape == (3, 4, 4)
        assert data.classes == tuple("0123456789")
        assert mirror.asked == list(mnist.FILES)
        assert files(tmp_path / "cache") == sorted(mnist.FILES)
        again = datasets.load("mnist")
        assert np.array_equal(data.X, again.X)
        assert len(mirror.asked) == 4

    def test_what_is_missing_is_fetched_later(self, mirror: Server, tmp_path: Path) -> None:
        third = mirror.has.pop(mnist.FILES[2])
        with pytest.raises(FileError, match="the server answers 404"):
            datasets.load("mnist")
        assert files(tmp_path / "cache") == sorted(mnist.FILES[:2])
        mirror.has[mnist.FILES[2]] = third
        assert len(datasets.load("mnist").X_test) == 3
        assert mirror.asked.count(mnist.FILES[0]) == 1

    def test_the_next_mirror_is_tried(
        self, mirror: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        nowhere = "http://127.0.0.1:9/"
        monkeypatch.setitem(mnist.MIRRORS, "mnist", (nowhere, mirror.url))
        assert len(datasets.load("mnist")) == 6

    @pytest.mark.parametrize(
        ("manner", "words"),
        [("stops", "ended after"), ("hangs", "timed out"), ("wrong", "another file than expected")],
    )
    def test_half_or_wrong_files_are_not_kept(
        self, mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        manner: str, words: str,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(download, "TIMEOUT", 0.3)
        first = mnist.FILES[0]
        mirror.manner[first] = manner
        if manner == "wrong":
            mirror.has[first] = mirror.has[first][:-1] + b"!"
        with pytest.raises(FileError, match=words) as caught:
            datasets.load("mnist")
        assert "\n" not in str(caught.value)
        assert files(tmp_path / "cache") == []

    def test_interrupted(
        self, mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(url: str) -> Iterator[bytes]:
            yield b"half"
            raise KeyboardInterrupt

        monkeypatch.setattr(download, "pieces", interrupted)
        with pytest.raises(KeyboardInterrupt):
            datasets.load("mnist")
        assert files(tmp_path / "cache") == []
        monkeypatch.undo()

    def test_offline_says_what_to_put_where(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(mnist.MIRRORS, "mnist", ("http://127.0.0.1:9/",))
        with pytest.raises(FileError) as caught:
            datasets.load("mnist")
        sentence = str(caught.value)
        assert "\n" not in sentence
        for word in (*mnist.FILES, str(tmp_path / "cache" / "mnist"), "LATENTE_DATA", "refused"):
            assert word in sentence

    def test_a_cache_that_cannot_be_written(
        self, mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("LATENTE_CACHE", str(tmp_path / "file"))
        with pytest.raises(FileError, match="cannot be made"):
            datasets.load("mnist")

    def test_a_damaged_cache_is_told(self, mirror: Server, tmp_path: Path) -> None:
        datasets.load("mnist")
        path = tmp_path / "cache" / "mnist" / mnist.FILES[0]
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(FileError, match=mnist.FILES[0]):
            datasets.load("mnist")

    @pytest.mark.parametrize("algorithm", ["md5", "sha256"])
    def test_digests(self, server: Server, tmp_path: Path, algorithm: str) -> None:
        server.has["x"] = b"content"
        digest = f"{algorithm}:{hashlib.new(algorithm, b'content').hexdigest()}"
        download.download(server.url + "x", tmp_path / "x", digest)
        assert (tmp_path / "x").read_bytes() == b"content"
        with pytest.raises(FileError, match=f"{algorithm} differs"):
            download.download(server.url + "x", tmp_path / "y", digest[:-1] + "g")


class TestPlaces:
    def test_the_platforms_cache(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("LATENTE_CACHE")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setattr(download.sys, "platform", "linux")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        assert download.cache() == tmp_path / ".cache" / "latente"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert download.cache() == tmp_path / "x" / "latente"
        monkeypatch.setattr(download.sys, "platform", "darwin")
        assert download.cache() == tmp_path / "Library" / "Caches" / "latente"
        monkeypatch.setattr(download.sys, "platform", "win32")
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
        assert download.cache() == tmp_path / "local" / "latente" / "Cache"

    def test_a_folder_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LATENTE_DATA", "/nope")
        with pytest.raises(FileError, match="LATENTE_DATA names the folder /nope"):
            datasets.load("mnist")

    def test_copies_come_first(self, copies: Path, mirror: Server) -> None:
        (copies / "mnist").mkdir()
        for name, content in tiny_mnist().items():
            (copies / "mnist" / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
        assert len(datasets.load("mnist")) == 6
        assert not mirror.asked

    def test_without_a_copy_it_is_fetched(self, copies: Path, mirror: Server) -> None:
        assert len(datasets.load("mnist")) == 6
        assert mirror.asked


class TestFaces:
    def test_from_folders(self, copies: Path) -> None:
        for person in (1, 2, 10):
            folder = copies / "faces" / f"s{person}"
            folder.mkdir(parents=True)
            for i in (1, 2):
                Image.fromarray(np.full((4, 3), person, "u1")).save(folder / f"{i}.pgm")
            Image.fromarray(np.zeros((4, 3), "u1")).save(folder / "1.pgm.png")
        (copies / "faces" / "glasses.csv").write_text("subject,image,glasses\n")
        data = datasets.load("faces")
        assert data.X.shape == (6, 4, 3)
        assert data.classes == ("s1", "s2", "s10")
        assert data.X[:, 0, 0].tolist() == [1, 1, 2, 2, 10, 10]

    def test_from_scikit_learn(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def fetched(data_home: Path, **options: Any) -> SimpleNamespace:
            assert data_home == tmp_path / "cache" / "faces"
            images = np.linspace(0, 1, 400 * 4).reshape(400, 2, 2).astype("f4")
            return SimpleNamespace(images=images, target=np.repeat(np.arange(40), 10))

        monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", fetched)
        data = datasets.load("faces")
        assert data.X.dtype == np.uint8
        assert data.X.max() == 255
        assert data.classes is not None
        assert len(data.classes) == 40

    def test_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(**options: Any) -> None:
            raise URLError("no network")

        monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", refused)
        with pytest.raises(FileError, match=r"s1 to s40.*LATENTE_DATA"):
            datasets.load("faces")


def archive(path: Path, change: Callable[[dict[str, bytes]], Any] = lambda parts: None) -> Path:
    """A CIFAR-10 archive in small: `change` spoils it."""
    parts = {}
    for i, name in enumerate(cifar.BATCHES):
        records = np.zeros((cifar.ROWS, cifar.RECORD), dtype=np.uint8)
        records[:, 0] = i
        records[:, 1:1025], records[:, 1025:2049], records[:, 2049:] = 10 + i, 20, 30
        records[0, 2] = 99
        parts[name] = records.tobytes()
    change(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        for name, content in {"readme.html": b"hello", **parts}.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


class TestCifar:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cifar, "ROWS", 20)

    def test_archive(self, copies: Path) -> None:
        archive(copies / "cifar10" / cifar.ARCHIVE.name)
        data = datasets.load("cifar10")
        assert data.X.shape == (100, 32, 32, 3)
        assert data.X_test.shape == (20, 32, 32, 3)
        assert data.X[25, 5, 5].tolist() == [11, 20, 30]
        assert data.X[0, 0, :2].tolist() == [[10, 20, 30], [99, 20, 30]]
        assert data.y is not None
        assert data.y[::20].tolist() == [0, 1, 2, 3, 4]
        assert data.y_test is not None
        assert set(data.y_test) == {5}

    @pytest.mark.parametrize(
        "change",
        [
            lambda parts: parts.pop("test_batch.bin"),
            lambda parts: parts.update({"test_batch.bin": b"short"}),
            lambda parts: parts.update({"data_batch_1.bin": b"\xff" * 20 * cifar.RECORD}),
        ],
    )
    def test_broken_archives(self, copies: Path, change: Callable[[Any], Any]) -> None:
        archive(copies / "cifar10" / cifar.ARCHIVE.name, change)
        with pytest.raises(FileError, match="is broken"):
            datasets.load("cifar10")

    def test_cut_short(self, copies: Path) -> None:
        path = archive(copies / "cifar10" / cifar.ARCHIVE.name)
        whole = path.read_bytes()
        for share in (0.0, 0.01, 0.3, 0.6, 0.9, 0.99):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(FileError, match=path.name):
                datasets.load("cifar10")

    def test_fetched(self, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        server.has["x"] = archive(tmp_path / "x.tar.gz").read_bytes()
        remote = download.Remote(cifar.ARCHIVE.name, (server.url + "x",), sha(server.has["x"]))
        monkeypatch.setattr(cifar, "ARCHIVE", remote)
        assert len(datasets.load("cifar10")) == 100
        assert len(datasets.load("cifar10")) == 100
        assert server.asked == ["x"]

    def test_pictures_in_class_folders(self, copies: Path) -> None:
        for i, name in enumerate(cifar.CLASSES):
            (copies / "cifar" / name).mkdir(parents=True)
            Image.fromarray(np.full((32, 32, 3), i, "u1")).save(copies / "cifar" / name / "0.png")
        data = datasets.load("cifar10")
        assert data.X[:, 0, 0, 0].tolist() == list(range(10))
        assert data.classes == cifar.CLASSES
        assert data.X_test is None

    def test_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        remote = download.Remote(cifar.ARCHIVE.name, ("http://127.0.0.1:9/x",), "sha256:0")
        monkeypatch.setattr(cifar, "ARCHIVE", remote)
        with pytest.raises(FileError, match=r"put cifar-10-binary\.tar\.gz into .*LATENTE_DATA"):
            datasets.load("cifar10")


class TestCreditcard:
    TABLE = '"Time","V1","V2","Amount","Class"\n0,1.5,2,9.99,"0"\n1,-1,3,0,"1"\n'

    @pytest.mark.parametrize("place", ["creditcard.csv", "creditcard/creditcard.csv"])
    def test_from_a_table(self, copies: Path, place: str) -> None:
        (copies / "creditcard").mkdir()
        (copies / place).write_text(self.TABLE)
        data = datasets.load("creditcard")
        assert data.names == ("V1", "V2", "Amount")
        assert data.X.tolist() == [[1.5, 2, 9.99], [-1, 3, 0]]
        assert data.y is not None
        assert data.y.tolist() == [0, 1]
        assert data.classes == ("genuine", "fraud")

    def test_another_table(self, copies: Path) -> None:
        (copies / "creditcard.csv").write_text("a,b\n1,2\n")
        with pytest.raises(DataError, match=r"creditcard\.csv has no column 'Class'"):
            datasets.load("creditcard")
        (copies / "creditcard.csv").write_text("a,Class\nx,0\ny,1\n")
        with pytest.raises(DataError, match="not the table of card payments"):
            datasets.load("creditcard")

    def test_from_openml(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fetched(**options: Any) -> SimpleNamespace:
            assert options["data_id"] == 1597
            assert options["as_frame"] is False
            return SimpleNamespace(
                data=np.eye(3),
                feature_names=["V1", "V2", "Amount"],
                target=np.array(["0", "1", "0"]),
            )

        monkeypatch.setattr("sklearn.datasets.fetch_openml", fetched)
        data = datasets.load("creditcard")
        assert data.names == ("V1", "V2", "Amount")
        assert data.y is not None
        assert data.y.tolist() == [0, 1, 0]

    def test_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(**options: Any) -> None:
            raise URLError("no network")

        monkeypatch.setattr("sklearn.datasets.fetch_openml", refused)
        with pytest.raises(FileError, match=r"no network.*put creditcard\.csv into .*LATENTE_DATA"):
            datasets.load("creditcard")


class TestOpenData:
    def test_a_path(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.arange(20.0).reshape(10, 2))
        assert len(datasets.open_data(tmp_path / "x.npy")) == 10
        assert len(datasets.open_data(str(tmp_path / "x.npy"), n=4)) == 4

    def test_a_name(self) -> None:
        assert len(datasets.open_data("font", n=5)) == 5
        data = datasets.open_data("digits", size=(16, 12), n=10)
        assert data.X.shape == (10, 16, 12)
        assert data.X_test.shape == (355, 16, 12)

    def test_a_path_goes_before_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "font").mkdir()
        Image.fromarray(np.zeros((3, 3), "u1")).save(tmp_path / "font" / "x.png")
        assert datasets.open_data("font").X.shape == (1, 3, 3)

    def test_neither(self) -> None:
        with pytest.raises(FileError, match=r"mnits: .*did you mean 'mnist'"):
            datasets.open_data("mnits")
        with pytest.raises(FileError, match=r"/nope/x\.csv: there is no such file or folder"):
            datasets.open_data("/nope/x.csv")

    def test_options_that_do_not_apply(self) -> None:
        with pytest.raises(
            ParameterError, match="target='y' does not apply to the data set 'font'"
        ):
            datasets.open_data("font", target="y")


@needs_data
class TestReal:
    @pytest.fixture(autouse=True)
    def real(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LATENTE_DATA", str(REAL))

    def test_mnist(self) -> None:
        data = datasets.load("mnist")
        assert data.X.shape == (60_000, 28, 28)
        assert data.X_test.shape == (10_000, 28, 28)
        assert data.X.dtype == np.uint8
        assert data.y is not None
        assert data.y[:5].tolist() == [5, 0, 4, 1, 9]
        digest = "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"
        assert hashlib.sha256(data.X.tobytes()).hexdigest() == digest

    def test_faces(self) -> None:
        data = datasets.load("faces")
        assert data.X.shape == (400, 112, 92)
        assert data.classes == tuple(f"s{i}" for i in range(1, 41))
        assert data.y is not None
        assert np.bincount(data.y).tolist() == [10] * 40

    def test_cifar(self) -> None:
        data = datasets.load("cifar10")
        assert data.X.shape == (4000, 32, 32, 3)
        assert data.y is not None
        assert np.bincount(data.y).tolist() == [400] * 10

    def test_anomaly_sets(self) -> None:
        for path in sorted(Path(REAL or "", "adbench").glob("*.npz")):
            data = datasets.open_data(path)
            assert data.X.ndim == 2, path
            assert data.y is not None
            assert set(data.y) == {0, 1}
