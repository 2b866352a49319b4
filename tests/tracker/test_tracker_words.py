"""Every text in every language, and figures as a reader is used to them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tracker.look import page
from tracker.words import LANGUAGES, language, preferred

ROOT = Path(__file__).parents[2]
EN, ES = (page.words_in(language) for language in LANGUAGES)


def texts(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / "packaging" / "texts", *options], capture_output=True, text=True, timeout=60
    )


def test_every_text_of_the_code_is_in_every_catalogue() -> None:
    told = texts(ROOT, "--check")
    assert (told.returncode, told.stderr) == (0, "")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package with one text, and the program that keeps its catalogue."""
    (tmp_path / "packaging").mkdir()
    shutil.copy(ROOT / "packaging" / "texts", tmp_path / "packaging")
    (tmp_path / "rooms" / "locale").mkdir(parents=True)
    (tmp_path / "rooms" / "a.py").write_text('words("a {room}")\n')
    (tmp_path / "rooms" / "b.html").write_text(
        '{{ _("a seat") }}{{ plural("{count} PC", "{count} PCs", n) }}'
    )
    (tmp_path / "rooms" / "locale" / "es.po").write_text(
        'msgid "a {room}"\nmsgstr "un {room}"\n\nmsgid "a seat"\nmsgstr "un equipo"\n\n'
        'msgid "{count} PC"\nmsgid_plural "{count} PCs"\nmsgstr[0] "{count} PC"\nmsgstr[1] "{count} PC"\n'
    )
    return tmp_path


@pytest.mark.room
@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("a.py", "a {room}", "the {room}", "not in the catalogue: 'the {room}'"),
        ("b.html", "a seat", "the seat", "no longer in the code: 'a seat'"),
        ("locale/es.po", "un equipo", "", "not translated: 'a seat'"),
        ("locale/es.po", "[1] \"{count} PC", "[1] \"", "not translated: '{count} PC'"),
        ("locale/es.po", "un {room}", "un {aula}", "other braces than the English: 'a {room}'"),
        ("locale/es.po", 'msgid "a seat"', '#, fuzzy\nmsgid "a seat"', "only guessed (fuzzy): 'a seat'"),
        ("locale/es.po", "\n\n", '\n\n#~ msgid "b"\n#~ msgstr "c"\n\n', "kept, though obsolete: 'b'"),
    ],
)  # fmt: skip
def test_what_is_not_in_step_is_told(tree: Path, file: str, old: str, new: str, told: str) -> None:
    assert texts(tree, "--check").returncode == 0
    path = tree / "rooms" / file
    path.write_text(path.read_text().replace(old, new))
    result = texts(tree, "--check")
    assert result.returncode == 1
    assert told in result.stderr


def test_new_texts_come_and_old_ones_go(tree: Path) -> None:
    (tree / "rooms" / "a.py").write_text('words("new")\n')
    assert "not translated: 'new'" in texts(tree).stderr
    catalogue = (tree / "rooms" / "locale" / "es.po").read_text()
    assert 'msgid "new"' in catalogue
    assert "a {room}" not in catalogue
    assert 'msgstr "un equipo"' in catalogue


def test_sizes_and_rates_have_three_figures_and_the_readers_point() -> None:
    assert [EN.bytes(n) for n in (0, 999, 1000, 1 << 30, 39.25 * 2**30, 5 << 40)] == [
        "0 B", "999 B", "0.977 KiB", "1 GiB", "39.2 GiB", "5 TiB",
    ]  # fmt: skip
    assert ES.bytes(39.25 * 2**30) == "39,2 GiB"
    assert ES.rate(1.5 * 2**20) == "1,5 MiB/s"
    assert (EN.number(3.14159, 2), ES.number(3.14159, 2)) == ("3.14", "3,14")


def test_a_percent_is_full_only_when_all_is() -> None:
    assert [EN.percent(part) for part in (0, 0.999, 1)] == ["0 %", "99 %", "100 %"]


def test_spans_are_told_as_people_do() -> None:
    assert [EN.span(n) for n in (0.4, 99, 180, 5999, 6000, 90061)] == [
        "0 s", "99 s", "3 min", "100 min", "1 h 40 min", "25 h 1 min",
    ]  # fmt: skip


def test_times_of_day_and_dates_are_as_the_reader_writes_them() -> None:
    moment = 1_790_000_000.0
    assert EN.clock(moment)[-2:] in ("AM", "PM")
    assert ES.clock(moment)[-3] == ":"
    assert "Sep" in EN.day(moment) and "sept" in ES.day(moment)


def test_plurals_follow_the_count() -> None:
    said = [ES.plural("{count} seat more", "{count} seats more", n) for n in (0, 1, 2)]
    assert said == ["0 equipos más", "1 equipo más", "2 equipos más"]
    assert EN.plural("{count} seat more", "{count} seats more", 1) == "1 seat more"


def test_the_language_is_the_first_wish_that_can_be_met() -> None:
    assert [preferred(wishes) for wishes in (["es-AR"], ["fr", "es"], ["en-GB", "es"], ["de"], [])] == [
        "es", "es", "en", "en", "en",
    ]  # fmt: skip


def test_a_text_without_a_translation_is_english() -> None:
    assert ES("nobody translated {this}", this="that") == "nobody translated that"


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
