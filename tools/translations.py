"""Bring the catalogues of the recipes' words up to date.

    python tools/translations.py            collect new words, drop old ones, compile
    python tools/translations.py --missing  list what is not translated

The words stand in src/latente/recipes, within ``_()`` and ``mark()``; the catalogues are
src/latente/recipes/locale/<language>/LC_MESSAGES/recipes.po, for people, and .mo, for the program.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from latente.recipes.language import DOMAIN, LANGUAGES, LOCALE
from latente.storage.files import atomic

RECIPES = LOCALE.parent
HEADER = "# Words of the recipes of latente.\n#"
KEPT = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")


class Words(Catalog):
    """A catalogue whose head holds no dates and no names: the same words give the same files."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """Return the lines of the head that say how to read the catalogue, and an end of line."""
        *lines, (name, last) = (each for each in super().mime_headers if each[0] in KEPT)
        return [*lines, (name, f"{last}\n")]


def collected() -> Catalog:
    """Return the words of all recipes."""
    catalogue = Catalog()
    found = extract_from_dir(
        RECIPES, method_map=[("**.py", "python")], keywords={"_": None, "mark": None}
    )
    for name, line, message, comments, context in found:
        catalogue.add(message, locations=[(name, line)], auto_comments=comments, context=context)
    return catalogue


def path_of(language: str) -> Path:
    """Return where the catalogue of a language lies."""
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: str) -> Catalog:
    """Return the catalogue of a language as it is; an empty one where there is none."""
    path = path_of(language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> Words:
    """Return the catalogue of a language with the words of today; none is guessed."""
    known = read(language)
    catalogue = Words(locale=language, charset="utf-8", header_comment=HEADER, fuzzy=False)
    for message in collected():
        if message.id:
            before = known.get(message.id)
            if before is not None:
                message.string = before.string
                message.flags |= before.flags & {"fuzzy"}
            catalogue[message.id] = message
    return catalogue


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as the program reads it."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def as_text(catalogue: Catalog) -> bytes:
    """Return a catalogue as people edit it: no dates and no line numbers, in the words' order."""
    for message in catalogue:
        message.locations = sorted({(name, 0) for name, _ in message.locations})
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=100, include_lineno=False)
    return buffer.getvalue()


def main() -> None:
    """Write all catalogues, or list what is missing."""
    for language in LANGUAGES:
        if language == "en":
            continue
        catalogue = updated(language)
        missing = [message.id for message in catalogue if message.id and not message.string]
        if "--missing" in sys.argv[1:]:
            print(*(f"{language}: {words!r}" for words in missing), sep="\n")
            continue
        path = path_of(language)
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, content in (
            (path, as_text(catalogue)),
            (path.with_suffix(".mo"), compiled(catalogue)),
        ):
            with atomic(target) as temporary:
                temporary.write_bytes(content)
        print(f"{language}: {len(catalogue)} words, {len(missing)} not translated")


if __name__ == "__main__":
    main()
