"""The errors a user can meet: each one sentence that names the culprit and what would be right."""


class LatenteError(Exception):
    """Anything that went wrong and can be told in one sentence."""


class DataError(LatenteError, ValueError):
    """The data cannot be used as they are; the message names the file, row or column."""


class ParameterError(LatenteError, ValueError):
    """A parameter has a value that cannot work; the message names it and the values that can."""


class FileError(LatenteError, OSError):
    """A file cannot be read or written; the message names it and why."""


class MissingExtra(LatenteError, ImportError):
    """An optional library is not installed; the message says what to install."""


class TrainingError(LatenteError, RuntimeError):
    """Training could not go on; the message names the epoch and step, and what to change."""


class TrainingWarning(UserWarning):
    """Training ended early, yet what was learned is kept."""


class DataWarning(UserWarning):
    """Data can be read in several ways; the message names the column or file, and what was done."""


def printable(text: str, longest: int | None = None) -> str:
    r"""Return a text of a file as it may go into a sentence or onto a terminal.

    Control characters, lone surrogates and whatever else cannot be seen are escaped as Python does.

    Parameters
    ----------
    text
        The text, not trusted.
    longest
        How many of its characters are shown, from 1; None for all. What is left out shows as "...".

    Examples
    --------
    >>> print(printable("a\x1b[31m.png"))
    a\x1b[31m.png
    >>> print(printable("a" * 100, 5))
    aaaaa...
    """
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:longest])
    return shown if longest is None or len(text) <= longest else f"{shown}..."
