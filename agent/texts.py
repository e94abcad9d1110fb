"""The one catalogue of sentences that people read: Norwegian bokmål and English, with named fields.

`config/texts.toml` and every file of `config/texts.d/` hold tables `[section.key]` with `nb` and `en`. A field is
`{name}`; a literal brace is doubled. Fields carry finished text: formatting money and times is the caller's work.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from agent.core.announcement import Language
from agent.paths import data_dir
from agent.toml_file import TomlFileError, read_toml

__all__ = ["MAX_BYTES", "Language", "Sentence", "TextError", "Texts"]

MAX_BYTES = 256 * 1024
_MAX_SENTENCE = 1000
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


class TextError(Exception):
    """A sentence is missing or malformed; the message names file and key, or key and field."""


class Sentence(Struct, frozen=True):
    """One sentence in every language, with the names of its fields."""

    by_language: Mapping[Language, str]
    fields: frozenset[str]


class Texts:
    """All sentences, by `section.key`."""

    def __init__(self, sentences: Mapping[str, Sentence]) -> None:
        self._sentences = dict(sentences)

    @classmethod
    def load(cls, folder: Path | None = None) -> Texts:
        """Read `texts.toml` and `texts.d/*.toml` of `folder` (default: the shipped data). Raises TextError."""
        folder = data_dir() if folder is None else folder
        found: dict[str, Sentence] = {}
        for path in (folder / "texts.toml", *sorted((folder / "texts.d").glob("*.toml"))):
            try:
                document = read_toml(path, max_bytes=MAX_BYTES)
            except TomlFileError as error:
                raise TextError(f"{path.name}: {error}") from error
            for key, sentence in _sentences(document, path.name):
                if key in found:
                    raise TextError(f"{path.name}: {key}: another file has this sentence already; rename one of them")
                found[key] = sentence
        return cls(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sentences)

    def __contains__(self, key: object) -> bool:
        return key in self._sentences

    def fields(self, key: str) -> frozenset[str]:
        """Names of the fields that the sentence `key` needs. Raises TextError for an unknown key."""
        return self._sentence(key).fields

    def say(self, key: str, lang: str, **values: object) -> str:
        """The sentence `key` in `lang` (`nb` or `en`), its fields filled in; values it has no field for are ignored.

        Raises TextError for an unknown key or language, or a missing field.
        """
        sentence = self._sentence(key)
        try:
            template = sentence.by_language[Language(lang)]
        except ValueError as error:
            raise TextError(f"{key}: there is no language {lang!r}; the languages are nb and en") from error
        missing = sentence.fields - values.keys()
        if missing:
            raise TextError(f"{key}: no value was given for {', '.join(sorted(missing))}")
        return template.format_map({name: str(values[name]) for name in sentence.fields})

    def _sentence(self, key: str) -> Sentence:
        try:
            return self._sentences[key]
        except KeyError:
            raise TextError(f"{key}: there is no such sentence in texts.toml or texts.d") from None


def _sentences(document: dict[str, object], file: str) -> Iterator[tuple[str, Sentence]]:
    for section, entries in document.items():
        if not isinstance(entries, dict):
            raise TextError(f"{file}: {section}: found a single value; write tables [section.key] with nb and en")
        for name, versions in entries.items():
            key = f"{section}.{name}"
            if not (_NAME.fullmatch(section) and _NAME.fullmatch(name)):
                raise TextError(f"{file}: {key[:130]!r}: keys are lower-case letters, digits, _ and -")
            yield key, _sentence(versions, f"{file}: {key}")


def _sentence(versions: object, where: str) -> Sentence:
    if not isinstance(versions, dict) or set(versions) != set(Language):
        raise TextError(f"{where}: exactly nb and en must be there")
    fields: dict[str, frozenset[str]] = {}
    for language, template in versions.items():
        if not isinstance(template, str) or not 0 < len(template) <= _MAX_SENTENCE:
            raise TextError(f"{where}.{language}: it must be text of 1 to {_MAX_SENTENCE} characters")
        fields[language] = _fields(template, f"{where}.{language}")
    if fields[Language.NB] != fields[Language.EN]:
        odd = ", ".join(sorted(fields[Language.NB] ^ fields[Language.EN]))
        raise TextError(f"{where}: both languages must have the same fields; only one has {odd}")
    return Sentence({language: versions[language] for language in Language}, fields[Language.NB])


def _fields(template: str, where: str) -> frozenset[str]:
    """Plain names only: `str.format` would otherwise reach into attributes and items of a value."""
    names = set()
    try:
        for _, name, spec, conversion in string.Formatter().parse(template):
            if name is None:
                continue
            if spec or conversion or not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name):
                raise TextError(f"{where}: a field is {{name}} in lower case and nothing else; found {{{name}}}")
            names.add(name)
    except ValueError as error:
        raise TextError(f"{where}: a brace is not closed ({error}); double it where a brace is meant") from error
    return frozenset(names)
