"""Commands, options and exit codes stand on their pages, README.md leads to these, and no link is broken."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ogtorrent.errors
from ogtorrent.cli import cli

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
TEXTS = sorted({*PROJECT.glob("*.md"), *DOCS.glob("*.md"), *PROJECT.glob("benchmarks/*.md")})
PAGES = {  # by the first words of a command, the longest that fits
    "ogtorrent cache": DOCS / "cache.md",
    "ogtorrent cache make-offline": DOCS / "offline.md",
    "ogtorrent cache offline-status": DOCS / "offline.md",
    "ogtorrent demo": README,
    "ogtorrent opengnsys": DOCS / "opengnsys.md",
    "ogtorrent env": DOCS / "mounts.md",
    "ogtorrent mount": DOCS / "mounts.md",
    "ogtorrent overlay": DOCS / "overlays.md",
    "ogtorrent publish": DOCS / "server.md",
    "ogtorrent repo": DOCS / "trees.md",
    "ogtorrent repo client": DOCS / "console.md",
    "ogtorrent repo group": DOCS / "console.md",
    "ogtorrent serve": DOCS / "server.md",
    "ogtorrent swarm": DOCS / "watch.md",
    "ogtorrent umount": DOCS / "mounts.md",
    "ogtorrent update-cache": DOCS / "update-cache.md",
}


def commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for child in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), child)
        assert command is not None
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {child}")
        else:
            yield f"{name} {child}", command


COMMANDS = dict(commands(cli, "ogtorrent"))
OPTIONS = sorted(
    {
        (name, max(option.opts, key=len))
        for name, command in COMMANDS.items()
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    }
)
CODES = sorted(
    {
        error.exit_code
        for _, error in inspect.getmembers(ogtorrent.errors, inspect.isclass)
        if issubclass(error, Exception)
    }
)


def page_of(command: str) -> str:
    begin = max((first for first in PAGES if f"{command} ".startswith(f"{first} ")), key=len)
    return PAGES[begin].read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_stands_on_its_page(command: str) -> None:
    assert re.search(rf"\b{re.escape(command)}\b", page_of(command))


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=" ".join)
def test_an_option_stands_on_the_page_of_its_command(command: str, option: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", page_of(command))


@pytest.mark.parametrize("code", CODES)
def test_an_exit_code_stands_in_a_row_of_the_table(code: int) -> None:
    assert re.search(rf"^\|\s*`?{code}`?\s*\|", (DOCS / "exit-codes.md").read_text(), re.MULTILINE)


def links(text: Path) -> set[str]:
    """Targets inside the project of what Markdown and HTML link to and show."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)|(?:href|src|srcset)=\"([^\"]+)\"", prose)
    return {link for pair in found for link in pair if link and "://" not in link}


def anchors(text: Path) -> set[str]:
    """As GitHub makes them of headings."""
    prose = re.sub(r"^```.*?^```", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text.relative_to(PROJECT)))
def test_links_lead_somewhere(text: Path) -> None:
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = (text.parent / path).resolve() if path else text
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_leads_to_every_page() -> None:
    named = {link.split("#")[0] for link in links(README)}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= named


def test_no_sentence_stands_twice() -> None:
    sentences: Counter[str] = Counter()
    for text in (README, *DOCS.glob("*.md")):
        if text.name in {"api.md", "faults.md"}:  # tables of fields and of faults
            continue
        prose = re.sub(r"^```.*?^```", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)
        for sentence in re.split(r"(?<=[.:;|])\s+|\n\s*\n|^(?:-|#+) ", prose, flags=re.MULTILINE):
            words = tuple(sentence.split())
            if len(words) >= 8:
                sentences[" ".join(words)] += 1
    assert [sentence for sentence, times in sentences.items() if times > 1] == []
