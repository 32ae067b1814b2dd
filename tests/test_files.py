"""Files are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from latente import FileError
from latente.storage.files import atomic, clear_leftovers, staging


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "none", str(place)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "codes.csv"
    with atomic(target) as place:
        assert place.parent == tmp_path
        assert place.suffix == ".csv"
        place.write_text("1,2")
        assert not target.exists()
    assert target.read_text() == "1,2"
    assert os.listdir(tmp_path) == ["codes.csv"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "codes.csv"
    target.write_text("old")

    def fail() -> None:
        with atomic(target) as place:
            place.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["codes.csv"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with atomic(tmp_path / "a") as place:
            place.write_text("x")
        (tmp_path / "b").write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_text("old")
    target.chmod(0o640)
    with atomic(target) as place:
        place.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text() == "new"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.txt"
    target.write_text("old")
    (tmp_path / "link.txt").symlink_to(target)
    with atomic(tmp_path / "link.txt") as place:
        place.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert target.read_text() == "new"


def test_names_as_long_as_can_be(tmp_path: Path) -> None:
    for name in ("x" * 251 + ".txt", "x." + "y" * 250, "é" * 127):
        with atomic(tmp_path / name) as place:
            place.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def write(path: Path) -> None:
    with atomic(path) as place:
        place.write_text("x")


def test_each_obstacle_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"cannot write .*a\.txt: there is no folder .*nowhere"):
        write(tmp_path / "nowhere" / "a.txt")
    with pytest.raises(FileError, match="it is a folder"):
        write(tmp_path)
    with pytest.raises(FileError, match="File name too long"):
        write(tmp_path / ("x" * 300))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="no ordinary file"):
        write(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="Not a directory"):
        write(tmp_path / "file" / "a.txt")
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_protected_places_are_respected(tmp_path: Path) -> None:
    protected = tmp_path / "a"
    protected.write_text("old")
    protected.chmod(0o444)
    with pytest.raises(FileError, match="write-protected"):
        write(protected)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FileError, match="Permission denied"):
            write(tmp_path / "b")
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("step", ["os.replace", "os.fsync", "os.open"])
def test_a_full_disk_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "a").write_text("old")

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(step, full)
    with pytest.raises(FileError, match=r"cannot write .*: No space left on device"):
        write(tmp_path / "a")
    monkeypatch.undo()
    assert (tmp_path / "a").read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_disk_that_is_really_full(tiny: Path) -> None:
    (tiny / "a").write_bytes(b"old")

    def fill() -> None:
        with atomic(tiny / "a") as place:
            place.write_bytes(b"x" * 2**20)

    with pytest.raises(FileError, match="No space left on device"):
        fill()
    assert os.listdir(tiny) == ["a"]
    assert (tiny / "a").read_bytes() == b"old"


def test_leftovers_of_killed_writers_are_found(tmp_path: Path) -> None:
    target = tmp_path / "check[point].safetensors"
    keep = {
        "check[point].safetensors",
        ".check[point]-x.safetensors",
        ".other-01234567.safetensors",
    }
    for name in keep:
        (tmp_path / name).write_text("x")
    with atomic(target) as place:
        place.write_text("x")
        shutil.copy(place, tmp_path / ".check[point]-0123abcd.safetensors")
        assert len(os.listdir(tmp_path)) == len(keep) + 2
    clear_leftovers(target)
    assert set(os.listdir(tmp_path)) == keep
    clear_leftovers(tmp_path / "nowhere" / "a")


def test_files_arrive_together(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with staging(folder) as stage:
        (stage / "a").write_text("1")
        (stage / "b").write_text("2")
        assert not (folder / "a").exists()
    assert sorted(os.listdir(folder)) == ["a", "b"]


def fail_staging(folder: Path) -> None:
    with staging(folder) as stage:
        (stage / "a").write_text("new")
        raise ValueError


def test_a_failure_brings_none_of_the_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        fail_staging(tmp_path / "out")
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").write_text("old")
    with pytest.raises(ValueError):  # noqa: PT011
        fail_staging(tmp_path)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    with pytest.raises(FileError, match="it is no folder"):
        fail_staging(tmp_path / "a")
