"""What ogtorrent says to people, in the language that their environment asks for.

`words("{count} seats", count=3)`: the text is looked up first and the facts are put in afterwards. Log lines,
JSON, and the names of commands and options are the same in every language.
"""

from __future__ import annotations

import os
from pathlib import Path

from tracker.words import Words as Words  # for whoever is handed a language
from tracker.words import language

CATALOGUES = Path(__file__).parent / "locale"


words = Words(language(os.environ), CATALOGUES)


def marked(text: str) -> str:
    """A text for the catalogue that somebody else looks up."""
    return text


# What click says by itself, as far as our commands make it.
CLICK = (
    marked("Usage:"),
    marked("Options"),
    marked("Commands"),
    marked("path"),
    marked("required"),
    marked("default: {default}"),
    marked("Show this message and exit."),
    marked("Show the version and exit."),
    marked("%(prog)s, version %(version)s"),
    marked("Try '{command} {option}' for help."),
    marked("Error: {message}"),
    marked("Missing command."),
    marked("Missing argument"),
    marked("No such command {name!r}."),
    marked("No such option {name!r}."),
    marked("Did you mean {possibility}?"),
    marked("(Did you mean one of: {possibilities}?)"),
    marked("Got unexpected extra argument ({args})"),
    marked("Got unexpected extra arguments ({args})"),
    marked("Option {name!r} requires an argument."),
    marked("Option {name!r} does not take a value."),
    marked("Invalid value: {message}"),
    marked("Invalid value for {param_hint}: {message}"),
    marked("{value!r} is not one of {choices}."),
    marked("{value!r} is not a valid {number_type}."),
    marked("{value} is not in the range {range}."),
)


def gettext(message: str) -> str:
    """In the place of the standard library's, which reads compiled catalogues alone."""
    return words(message)


def ngettext(msgid1: str, msgid2: str, n: int) -> str:
    """Likewise; the facts are put in by who asked."""
    return words(msgid1 if n == 1 else msgid2)
