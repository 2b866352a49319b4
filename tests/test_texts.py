"""Every text that ogtorrent says is looked up, and its Spanish has the same facts."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

import ogtorrent.errors
from ogtorrent.words import CATALOGUES, language

PACKAGE = Path(ogtorrent.errors.__file__).parent
# Whose arguments people read.
ERRORS = {kind.__name__ for kind in vars(ogtorrent.errors).values() if isinstance(kind, type)} - {"Path"}
SPEAKERS = {"echo", "print", "_Refused", *ERRORS}
# What programs read too, and what is the same in Spanish.
FIXED = {"ogtorrent: ", "announce "}


def forms(text: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (CATALOGUES / "es.po").open("rb") as file:
        return read_po(file, locale="es", abort_invalid=True)


def test_spanish_has_the_same_facts(catalogue: Catalog) -> None:
    def facts(text: str) -> list[tuple[str, str | None, str | None]]:
        return sorted((name, form, way) for _, name, form, way in Formatter().parse(text) if name is not None)

    for message in catalogue:
        english = forms(message.id)
        for number, spanish in enumerate(forms(message.string)):
            original = english[min(number, len(english) - 1)]
            if len(english) > 1 and facts(spanish) != facts(original):
                original = original.replace("1 ", "{count} ", 1)  # where one is a word
            assert facts(spanish) == facts(original), spanish
            assert re.findall(r"%\(\w+\)s|--[a-z]+|`.*?`", spanish) == re.findall(
                r"%\(\w+\)s|--[a-z]+|`.*?`", original
            )


def test_what_people_read_is_looked_up() -> None:
    unsaid = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            told = [*node.args] if name in SPEAKERS else []
            told += [given.value for given in node.keywords if given.arg == "help"]
            for literal in told:
                parts = literal.values if isinstance(literal, ast.JoinedStr) else [literal]
                for part in parts:
                    value = getattr(part, "value", None)
                    if isinstance(value, str) and re.search("[a-z]{2} ", f"{value} ") and value not in FIXED:
                        unsaid.append(f"{path.name}:{literal.lineno}: {value}")
    assert unsaid == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es"}, "es"),
        ({"LANG": "ca_ES.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "es_MX.UTF-8"}, "es"),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": ""}, "es"),
        ({"LANG": "en_GB.UTF-8", "LANGUAGE": "ca:es_ES:en"}, "es"),
        ({"LANG": "es_ES.UTF-8", "LANGUAGE": "en"}, "en"),
        ({"LANG": "POSIX", "LANGUAGE": "es"}, "en"),
    ],
)
def test_the_language_is_that_of_the_environment(environment: dict[str, str], expected: str) -> None:
    assert language(environment) == expected
