"""What a command prints: results on stdout, messages and errors on stderr, and an exit code.

Exit code 0 means done, 1 that the work failed or ended early, 2 that the call was wrong. Errors are
one sentence, never a traceback.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

import typer

from ..errors import LatenteError, ParameterError, printable
from ..launch import rank

if TYPE_CHECKING:
    from rich.table import Table

FAILED = 1
WRONG = 2
FIRST_SPEAKS = 2.0
"""Seconds that other processes than the first wait before they tell an error."""
UNFOLDED = 2000
"""Width of a table that is not for a terminal."""


CALL: ContextVar[Mapping[str, Any]] = ContextVar("call", default={})  # noqa: B039
"""The arguments and options of the running command, by the names of its parameters."""


class CallError(LatenteError):
    """The call cannot work: a file that is not there, an output that cannot be written."""


def say(message: object) -> None:
    """Print a message on stderr, without the control characters of what it takes from files.

    Of several processes only the first is heard: `quietly`.
    """
    lines = str(message).split("\n")
    typer.echo("latente: " + "\n".join(map(printable, lines)), err=True)


def answer(result: Mapping[str, Any], as_json: bool, show: Callable[[], None]) -> None:
    """Print a result as one JSON object, or call what shows it to a person."""
    if as_json:
        typer.echo(json.dumps(plain(result), allow_nan=False))
    else:
        show()


def plain(value: Any) -> Any:
    """Turn a result into JSON values: NaN and infinity become null, unknown objects text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; the first column is text, and so are those whose name ends in a space."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        text = i == 0 or column.endswith(" ")
        table.add_column(
            printable(column.strip()), justify="left" if text else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(formatted(item) for item in row))
    _print(table, title)


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """Print names and values, one pair a line, leaving out what is None."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        if value is not None:
            table.add_row(printable(name.replace("_", " ")), formatted(value))
    _print(table, title)


def _print(table: Table, title: str) -> None:
    """Print a table under its title; off a terminal, each row takes one line."""
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = UNFOLDED
    if title:
        console.print(printable(title), style="bold")
    console.print(table)


def formatted(value: object) -> Any:
    """Write a value for people: five significant digits, thousands apart; text stays as it is."""
    from rich.text import Text

    if isinstance(value, bool) or not isinstance(value, int | float):
        return Text("" if value is None else printable(str(value)))
    return Text(f"{value:,}" if isinstance(value, int) else f"{value:.5g}")


def plural(noun: str, n: int, *, count: bool = False) -> str:
    """Return a noun in the form that goes with n, with the count before it if asked for."""
    return (f"{n:,} " if count else "") + noun + ("" if n == 1 else "s")


@contextmanager
def quietly(quiet: bool) -> Iterator[None]:
    """Print nothing where another process speaks.

    What ends all of several processes is told by the first: torchrun ends the others meanwhile.
    What ends another one alone, that one tells after a while.
    """
    if not quiet:
        yield
        return
    said = io.StringIO()
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code:
            time.sleep(FIRST_SPEAKS)
            for line in said.getvalue().splitlines():
                typer.echo(f"process {rank()}: {line}", err=True)
        raise


@contextmanager
def waiting(shown: bool) -> Iterator[None]:
    """Show on a terminal that the command is at work, until it says anything itself.

    The first thing that is written to stdout or stderr takes the line's place.

    Parameters
    ----------
    shown
        Whether to show anything at all.
    """
    if not shown or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    terminal = sys.stderr
    terminal.write("latente: working …")
    terminal.flush()
    erased = False

    def erase() -> None:
        nonlocal erased
        if not erased:
            erased = True
            terminal.write("\r\x1b[2K")
            terminal.flush()

    before = sys.stdout, sys.stderr
    proxies = tuple(cast("TextIO", Watched(stream, erase)) for stream in before)
    sys.stdout, sys.stderr = proxies
    try:
        yield
    finally:
        erase()
        if (sys.stdout, sys.stderr) == proxies:
            sys.stdout, sys.stderr = before


class Watched:
    """A stream that calls a function before anything is written to it.

    Parameters
    ----------
    stream
        Where it is written to.
    before
        Called each time.
    """

    def __init__(self, stream: TextIO, before: Callable[[], None]) -> None:
        self._stream = stream
        self._before = before

    def write(self, text: str) -> int:
        """Write to the stream."""
        self._before()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        if name in ("buffer", "writelines"):
            self._before()
        return getattr(self._stream, name)


@contextmanager
def called_with(parameters: Mapping[str, Any]) -> Iterator[None]:
    """Let `CALL` be the arguments and options of a command while it runs."""
    token = CALL.set(parameters)
    try:
        yield
    finally:
        CALL.reset(token)


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn every error inside into one sentence on stderr and an exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: say(message)
        warnings.simplefilter("always", UserWarning)
        if isinstance(sys.stdout, io.TextIOWrapper):  # a name of a file need not be text
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            yield
            sys.stdout.flush()
        except (ParameterError, CallError) as error:
            leave(error, WRONG)
        except LatenteError as error:
            leave(error, FAILED)
        except KeyboardInterrupt:
            leave("interrupted", FAILED)
        except BrokenPipeError:
            _close_stdout()
            raise typer.Exit(FAILED) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            _unexpected(error)


def leave(message: object, code: int) -> NoReturn:
    """Print why, and leave with an exit code."""
    say(message)
    raise typer.Exit(code) from None


def _close_stdout() -> None:
    """Send the rest of stdout nowhere: the program that read it has ended."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _unexpected(error: Exception) -> NoReturn:
    """Report an error that was not foreseen in a line, unless a traceback is asked for."""
    # The command line's own usage errors print themselves, with a hint to the help.
    is_usage = hasattr(error, "exit_code") and hasattr(error, "show")
    if os.environ.get("LATENTE_DEBUG") or is_usage:
        raise error
    if isinstance(error, OSError) and error.strerror:
        leave(": ".join(str(part) for part in (error.filename, error.strerror) if part), FAILED)
    if isinstance(error, MemoryError):
        leave("not enough memory; give fewer rows with --limit, or a smaller model", FAILED)
    leave(
        f"unexpected {type(error).__name__}: {error}; set LATENTE_DEBUG=1 to see where, "
        "and please report it to the project with the command you gave",
        FAILED,
    )
