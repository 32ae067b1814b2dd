"""The code and the commands that make a model again, written from the estimator's keywords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FLAGS = {"random_state": "--seed"}
WIDTH = 54


def program(keywords: Mapping[str, Any], calls: Sequence[str], data: str) -> str:
    """Return Python that fits a model on a data set, and draws figures of it.

    Parameters
    ----------
    keywords
        Of the estimator.
    calls
        As for `drawing`.
    data
        Name of the data set.
    """
    given = [f"{name}={_literal(value)}," for name, value in keywords.items()]
    lines = [
        "from latente import Autoencoder, datasets",
        "from latente.figures import figures",
        "",
        f'{data} = datasets.load("{data}")',
        "model = Autoencoder(",
        *_filled(given, "    "),
        f").fit({data}.X)",
        drawing(calls),
    ]
    return "\n".join(lines)


def drawing(calls: Sequence[str]) -> str:
    """Return Python that draws figures of ``model``, given as calls of `figures`."""
    lines = []
    for call in calls:
        name, _, arguments = call.removesuffix(")").partition("(")
        whole = f'figures.{call}.savefig("{name}.png")'
        apart = f'figures.{name}(\n    {arguments}\n).savefig("{name}.png")'
        lines.append(whole if len(whole) <= WIDTH else apart)
    return "\n".join(lines)


def commands(name: str, keywords: Mapping[str, Any], following: Sequence[str], data: str) -> str:
    """Return shell commands that fit a model into a file, and use it.

    Parameters
    ----------
    name
        Of the model; its file is called so.
    keywords
        Of the estimator.
    following
        As for `continued`.
    data
        Name of the data set.
    """
    options = [f"{flag(key)} {_word(value)}" for key, value in keywords.items()]
    fit = _filled([f"latente fit {data}", f"-o {name}.safetensors", *options], "", "    ", " \\")
    return "\n".join(fit) + "\n" + continued(following)


def continued(following: Sequence[str]) -> str:
    """Return shell commands, given as what comes after ``latente``, broken at their options."""
    lines: list[str] = []
    for command in following:
        words = f"latente {command}".replace(" -", "\n-").split("\n")
        lines += _filled(words, "", "    ", " \\")
    return "\n".join(lines)


def flag(keyword: str) -> str:
    """Return the option of ``latente fit`` for a keyword of the estimator."""
    return FLAGS.get(keyword, "--" + keyword.replace("_", "-"))


def _filled(words: Sequence[str], first: str, later: str | None = None, end: str = "") -> list[str]:
    """Fill lines with words that are not broken; ``end`` goes behind every line but the last."""
    lines = [first + words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) + len(end) > WIDTH:
            lines[-1] += end
            lines.append((first if later is None else later) + word)
        else:
            lines[-1] += " " + word
    return lines


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _word(value: object) -> str:
    text = str(value)
    return f'"{text}"' if "(" in text else text
