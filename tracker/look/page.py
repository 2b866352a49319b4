"""The status page: HTML from one snapshot, whole without JavaScript and without anything from outside."""

import base64
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tracker.look.snapshot import Snapshot

_HERE = Path(__file__).parent
_CSS = (_HERE / "page.css").read_text()
_CSS_HASH = base64.b64encode(sha256(_CSS.encode()).digest()).decode()

HEADERS = {
    # The one style sheet stands in the page and is named by its hash; a page that somebody managed to
    # write into could still load and run nothing.
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_CSS_HASH}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def render(snapshot: Snapshot) -> str:
    """The page as HTML; names and addresses are escaped."""
    return _TEMPLATE.render(snapshot=snapshot, css=Markup(_CSS))


def in_bytes(amount: float) -> str:
    """An amount of bytes for people: `39.1 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}" if unit != "B" else f"{amount:.0f} B"
        amount /= 1024
    return f"{amount:.3g} TiB"


def in_percent(progress: float) -> str:
    """Whole percents, rounded down: 100 % is said of what is whole, not of what is nearly so."""
    return f"{int(progress * 100)} %"


def in_time(seconds: float) -> str:
    """A duration for people: `8 s`, `3 min`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bytes": in_bytes, "percent": in_percent, "time": in_time}
    return environment


_TEMPLATE = _environment().get_template("page.html")
