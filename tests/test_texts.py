"""Every text that ogtorrent says is looked up, in the language of its environment."""

import ast
import re
from pathlib import Path

from babel.messages.pofile import read_po

import ogtorrent
import ogtorrent.errors
from ogtorrent.words import CATALOGUES

PACKAGE = Path(ogtorrent.__file__).parent
# Whose arguments people read; a program's name is the same to all.
ERRORS = {kind.__name__ for kind in vars(ogtorrent.errors).values() if isinstance(kind, type)}
ERRORS.remove("MissingProgram")
SPEAKERS = {"echo", "print", "_Refused", *ERRORS}
# What programs read too, and what is the same in Spanish.
# What OpenGnsys calls an error, and what its repository has of a call, stand as they are in its own logs.
FIXED = {"ogtorrent: ", "announce ", "sendFileMcast Error: "}
NAMES = re.compile(r"%\(\w+\)s|--[a-z]+|`.*?`")


def test_what_is_typed_is_the_same_in_spanish() -> None:
    with (CATALOGUES / "es.po").open("rb") as file:
        catalogue = read_po(file, locale="es", abort_invalid=True)
    texts = {
        message.id: message.string for message in catalogue if isinstance(message.id, str) and message.id
    }
    assert len(texts) > 200
    assert [text for text in texts if NAMES.findall(text) != NAMES.findall(str(texts[text]))] == []


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
