"""The code and the commands that make a model again, written from the estimator's keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

FLAGS = {"random_state": "--seed"}


def python(keywords: Mapping[str, Any], *figures: str, data: str = "digits") -> str:
    """Return a program that fits a model and draws figures of it.

    Parameters
    ----------
    keywords
        Of the estimator.
    figures
        Calls of `latente.report.figures`, the model being ``model`` and the data ``digits``.
    data
        Name of the data set.
    """
    given = ", ".join(f"{name}={_literal(value)}" for name, value in keywords.items())
    inside = fill(
        given.replace(", ", ",\x00").replace(" ", "\x01").replace("\x00", " "),
        width=76,
        initial_indent="    ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    ).replace("\x01", " ")
    lines = [
        "from latente import Autoencoder, datasets",
        "from latente.report import figures",
        "",
        f'{data} = datasets.load("{data}")',
        f"model = Autoencoder(\n{inside},\n).fit({data}.X)",
        *(f'figures.{call}.savefig("{call.partition("(")[0]}.png")' for call in figures),
    ]
    return "\n".join(lines)


def shell(name: str, keywords: Mapping[str, Any], *commands: str, data: str = "digits") -> str:
    """Return commands that fit a model into a file, and what to do with it then.

    Parameters
    ----------
    name
        Of the model: the file is called so.
    keywords
        Of the estimator.
    commands
        What comes after ``latente``.
    data
        Name of the data set.
    """
    options = [f"{flag(key)} {_word(value)}" for key, value in keywords.items()]
    first = _continued([f"latente fit {data} -o {name}.safetensors", *options])
    return "\n".join([first, *(f"latente {command}" for command in commands)])


def flag(keyword: str) -> str:
    """Return the option of ``latente fit`` for a keyword of the estimator."""
    return FLAGS.get(keyword, "--" + keyword.replace("_", "-"))


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _word(value: object) -> str:
    text = str(value)
    return f'"{text}"' if "(" in text else text


def _continued(words: Sequence[str]) -> str:
    """Join words to lines of at most 76 characters, each but the last ending in a backslash."""
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + len(word) + 1 > 74:
            lines.append("    " + word)
        else:
            lines[-1] += " " + word
    return " \\\n".join(lines)
