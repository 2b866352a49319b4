"""What is not there now: a room that nobody sits in, a seat that has gone, a deployment that was not kept."""

from tracker.look.view import View
from tracker.words import Words


def missing(words: Words) -> View:
    """The page for an address that may show something at another time."""
    return View("missing.html", words("Nothing to see here"), (), {}, {})
