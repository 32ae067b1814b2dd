"""What becomes of errors: one sentence on stderr and an exit code, never a traceback.

Exit code 0 means done, 1 that the work failed or ended early, 2 that the call was wrong.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from ..errors import LatenteError, ParameterError

FAILED = 1
WRONG = 2


class Refusal(LatenteError):
    """The call cannot work: a file that is not there, an output that cannot be written."""


def say(message: object) -> None:
    """Tell the user something on stderr."""
    typer.echo(f"latente: {message}", err=True)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn whatever goes wrong inside into a sentence and an exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *rest, **more: say(message)
        warnings.simplefilter("always", UserWarning)
        try:
            yield
            sys.stdout.flush()
        except (ParameterError, Refusal) as error:
            end(error, WRONG)
        except LatenteError as error:
            end(error, FAILED)
        except KeyboardInterrupt:
            end("interrupted", FAILED)
        except BrokenPipeError:
            silence()
            raise typer.Exit(FAILED) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:
            unexpected(error)


def end(message: object, code: int) -> NoReturn:
    """Say why, and leave with that exit code."""
    say(message)
    raise typer.Exit(code) from None


def silence() -> None:
    """Send the rest of stdout nowhere: whoever was reading it has left."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def unexpected(error: Exception) -> NoReturn:
    """Tell about an error nobody foresaw, in a line, unless a traceback is asked for."""
    if os.environ.get("LATENTE_DEBUG") or is_usage(error):
        raise error
    if isinstance(error, OSError) and error.strerror:
        end(": ".join(str(part) for part in (error.filename, error.strerror) if part), FAILED)
    if isinstance(error, MemoryError):
        end("not enough memory; give fewer rows with --limit, or a smaller model", FAILED)
    end(
        f"unexpected {type(error).__name__}: {error}; set LATENTE_DEBUG=1 to see where, "
        "and please report it to the project with the command you gave",
        FAILED,
    )


def is_usage(error: Exception) -> bool:
    """Whether the error is the command line's own, which prints itself with a hint to the help."""
    return hasattr(error, "exit_code") and hasattr(error, "show")
