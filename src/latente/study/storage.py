"""Where a study is kept: Optuna's journal file, a database, or memory.

A study in a storage tells what it is a study of, so that another one is not mixed into it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, MissingExtra
from ..storage.files import StrPath
from ..training.checkpoint import flatten

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

IDENTITY = "latente"
"""The attribute of a study that tells what it is a study of."""
FORMAT = 1
SHOWN = 3
"""Differences that a refusal names."""


def require_optuna() -> Any:
    """Return the library Optuna, told to log warnings only.

    Raises
    ------
    MissingExtra
        If it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise MissingExtra("studies need one more library: pip install 'latente[study]'") from None
    if optuna.logging.get_verbosity() == optuna.logging.INFO:  # what it begins with
        optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def is_address(path: StrPath) -> bool:
    """Whether a path is the address of a database: ``sqlite:///study.db``."""
    return "://" in str(path)


def open_storage(path: StrPath | None, *, new: bool = True) -> BaseStorage:
    """Return Optuna's storage at a path.

    Parameters
    ----------
    path
        A journal file, the address of a database, or None for memory.
    new
        Whether a file that is not there is made.

    Raises
    ------
    FileError
        If it cannot be opened, or is no study.
    """
    optuna = require_optuna()
    if path is None:
        memory: BaseStorage = optuna.storages.InMemoryStorage()
        return memory
    if is_address(path):
        try:
            database: BaseStorage = optuna.storages.RDBStorage(str(path))
        except Exception as error:  # its libraries raise errors of their own
            why = " ".join(str(error).split("\n")[0].split())
            raise FileError(f"cannot open the database {path}: {why}") from error
        return database
    _check_journal(Path(path), new=new)
    from .journal import open_journal

    try:
        return open_journal(str(path))
    except OSError as error:
        raise FileError(f"cannot open {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path} is damaged, or no study") from error


def _check_journal(path: Path, *, new: bool) -> None:
    """Raise `FileError` unless a file is a journal, or is not there and may be made."""
    if not path.exists():
        if not new:
            raise FileError(f"{path}: there is no such study; `latente study run` makes one")
        if not path.absolute().parent.is_dir():
            raise FileError(f"cannot write {path}: there is no folder {path.absolute().parent}")
        return
    if not path.is_file():
        raise FileError(f"{path} is no file; give a file such as study.journal")
    with path.open("rb") as file:
        begin = file.readline(2**16)
    if not begin.strip():
        return
    try:
        good = "op_code" in json.loads(begin)
    except (ValueError, TypeError, RecursionError):
        good = not begin.endswith(b"\n") and begin.startswith(b"{")
    if not good:
        raise FileError(f"{path} is no study; give another file")


def open_study(
    path: StrPath | None, name: str, identity: Mapping[str, Any] | None, sampler: Any, pruner: Any
) -> optuna.Study:
    """Return a study of Optuna's, made if it is not there.

    Parameters
    ----------
    path
        As for `open_storage`.
    name
        Of the study in its storage.
    identity
        What it is a study of, to be compared with what is stored; None takes what is there.
    sampler, pruner
        Optuna's.

    Raises
    ------
    FileError
        If it is a study of something else; the message tells what differs. If there is none and
        there is no identity.
    """
    library = require_optuna()
    storage = open_storage(path, new=identity is not None)
    study: optuna.Study
    if identity is None:
        try:
            study = library.load_study(study_name=name, storage=storage)
            return study
        except KeyError:
            names = [each.study_name for each in storage.get_all_studies()]
            hint = f"it holds {', '.join(names)}" if names else "it is empty"
            raise FileError(f"{path} holds no study {name!r}; {hint}") from None
    study = library.create_study(
        storage=storage, study_name=name, load_if_exists=True, sampler=sampler, pruner=pruner,
        direction="maximize" if identity["higher"] else "minimize",
    )  # fmt: skip
    stored = study.user_attrs.get(IDENTITY)
    if stored is None:
        if study.get_trials(deepcopy=False):
            raise FileError(f"{path} is a study of another program; give another path")
        study.set_user_attr(IDENTITY, dict(identity))
    else:
        compare(path, stored, identity)
    return study


def compare(path: StrPath | None, stored: Any, identity: Mapping[str, Any]) -> None:
    """Refuse a study of something else, and name what differs."""
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise FileError(f"{path} is a study of another version; give another path")
    before, now = flatten(stored["of"]), flatten(identity["of"])
    told = [
        f"{name} was {before.get(name, 'absent'):.60}, now {now.get(name, 'absent'):.60}"
        for name in dict.fromkeys([*now, *before])
        if before.get(name) != now.get(name)
    ]
    if told:
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise FileError(
            f"{path} is another study: {'; '.join(told[:SHOWN])}{more}; give another path"
        )
