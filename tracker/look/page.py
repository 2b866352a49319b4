"""A view as HTML: whole without JavaScript, its style sheet and script within it, nothing from outside."""

import base64
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tracker.look.view import View
from tracker.words import LANGUAGES, Words

_HERE = Path(__file__).parent
_LOCALE = _HERE.parent / "locale"
_CSS = (_HERE / "page.css").read_text()
_SCRIPT = (_HERE / "page.js").read_text()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"


HEADERS = {
    # What stands in the page is named by its hash: a page that somebody managed to write into could still
    # load and run nothing. Images are the glyphs of the style sheet.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(_CSS)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@cache
def words_in(language: str) -> Words:
    """The words of the page and of what it tells; `language` is one of LANGUAGES."""
    return Words(language, _LOCALE)


def render(view: View, words: Words) -> str:
    """The page; names and addresses are escaped."""
    return _templates(words).get_template(view.template).render(view=view, cells=view.cells, **view.facts)


@lru_cache(2 * len(LANGUAGES))
def _templates(words: Words) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals |= {
        "_": words,
        "plural": words.plural,
        "language": words.language,
        "css": Markup(_CSS),
        "script": Markup(_SCRIPT),
    }
    return templates
