"""The language of recipes: their words are English, and catalogues hold them in other languages.

Words are marked with `_` where they are said, and with `mark` where they are said later::

    TITLE = mark("Faces in a hundred numbers")
    ...
    report.text(_("{n} faces were left out.").format(n=n))

``tools/translations.py`` collects them into ``locale/<language>/LC_MESSAGES/recipes.po``.
"""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from ..errors import ParameterError
from ..parts import listed

LANGUAGES = {"en": "English", "es": "Español", "pt": "Português"}
DOMAIN = "recipes"
LOCALE = Path(__file__).parent / "locale"

_language: ContextVar[str] = ContextVar("language", default="en")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Say what recipes say in another language.

    Parameters
    ----------
    language
        "en", "es" or "pt".

    Raises
    ------
    ParameterError
        If there is no catalogue of that language.
    """
    if language not in LANGUAGES:
        raise ParameterError(f"there is no language {language!r}; choose {listed(LANGUAGES)}")
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def _(message: str) -> str:
    """Return a message in the present language; in English where the catalogue lacks it."""
    return _catalogue(_language.get()).gettext(message)


def mark(message: str) -> str:
    """Mark a message that is said later, by `_`, and return it as it is."""
    return message


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
