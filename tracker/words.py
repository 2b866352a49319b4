"""The languages that people read: every text by its catalogue, and figures as a reader is used to them.

English stands in the code; other languages stand in `locale/LANGUAGE.po` of each package, read as they are:
there is nothing to compile. Sizes are in bytes, rates in bytes per second, spans in seconds, moments in
seconds since 1970.

A command is loaded in every run: babel comes when something is asked of it, and English texts and figures do
without.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path

LANGUAGES = ("en", "es")

Catalogue = Mapping[str, tuple[str, ...]]


@cache
def read_catalogue(folder: Path, language: str) -> Catalogue:
    """The texts of `folder/LANGUAGE.po` by their English; none for English itself."""
    if language == "en":
        return {}
    from babel.messages.pofile import read_po

    with (folder / f"{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    texts = {}
    for message in catalogue:
        english = message.id if isinstance(message.id, str) else message.id[0]
        translated = (message.string,) if isinstance(message.string, str) else tuple(message.string)
        if english and all(translated):
            texts[english] = translated
    return texts


class Words:
    """One language. Call it with an English text and the facts in its braces."""

    def __init__(self, language: str, folder: Path) -> None:
        self.language = language
        self._texts = read_catalogue(folder, language)
        self._point = "." if language == "en" else _point(language)
        # A page has thousands of figures and few different ones.
        self.bytes = lru_cache(4096)(self._bytes)
        self.rate = lru_cache(4096)(self._rate)
        self.span = lru_cache(4096)(self._span)

    def __call__(self, text: str, /, **facts: object) -> str:
        """The text in this language."""
        translated = self._texts.get(text, (text,))[0]
        return translated.format(**facts) if facts else translated

    def plural(self, one: str, many: str, count: int, /, **facts: object) -> str:
        """The text for that many; `{count}` is the number."""
        forms = self._texts.get(one, (one, many))
        return forms[min(int(count != 1), len(forms) - 1)].format(count=count, **facts)

    def number(self, value: float, digits: int = 0) -> str:
        """`3,14` where that is the habit."""
        return f"{value:.{digits}f}".replace(".", self._point)

    def percent(self, part: float) -> str:
        """Whole percents, rounded down: 100 % is said of what is whole, not of what is nearly so."""
        return f"{int(part * 100)} %"

    def clock(self, moment: float) -> str:
        """A time of day, where the server is."""
        from babel.dates import format_time

        return format_time(datetime.fromtimestamp(moment), "short", locale=self.language)

    def day(self, moment: float) -> str:
        """A date, where the server is."""
        from babel.dates import format_date

        return format_date(datetime.fromtimestamp(moment), "medium", locale=self.language)

    def _bytes(self, amount: float) -> str:
        for unit in ("B", "KiB", "MiB", "GiB"):
            if amount < 1000:
                return f"{self._three(amount)} {unit}" if unit != "B" else f"{amount:.0f} B"
            amount /= 1024
        return f"{self._three(amount)} TiB"

    def _rate(self, amount: float) -> str:
        return f"{self._bytes(amount)}/s"

    def _span(self, seconds: float) -> str:
        if seconds < 100:
            return f"{seconds:.0f} s"
        if seconds < 100 * 60:
            return f"{seconds / 60:.0f} min"
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"

    def _three(self, value: float) -> str:
        """Three digits that count."""
        return f"{value:.3g}".replace(".", self._point)


def _point(language: str) -> str:
    from babel import Locale

    return str(Locale.parse(language).number_symbols["latn"]["decimal"])


def preferred(wanted: Iterable[str]) -> str:
    """The language for whoever wants these, the dearest first (`es-AR`, `es_ES`); English if none fits."""
    for name in wanted:
        language = name.replace("_", "-").partition("-")[0].casefold()
        if language in LANGUAGES:
            return language
    return "en"


def language(environment: Mapping[str, str]) -> str:
    """Of a process, as gettext has it: LANGUAGE lists the dearest first, but only where a locale is set."""
    names = (environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    locale = next((name.partition(".")[0] for name in names if name), "C")
    if locale in ("C", "POSIX"):
        return "en"
    return preferred([*environment.get("LANGUAGE", "").split(":"), locale])
