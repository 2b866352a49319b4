"""What a cache that boots needs against what is there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ogtorrent.words import words


class Name(StrEnum):
    LIVE = "live"
    MENU = "menu"
    BIOS = "bios"
    UEFI = "uefi"


class State(StrEnum):
    CURRENT = "current"
    MISSING = "missing"
    OLD = "old"
    ANOTHER = "another"  # a boot loader of another system stands there
    LEFT = "left"  # not wanted
    IMPOSSIBLE = "impossible"  # the disk has no place for it


DONE = (State.CURRENT, State.LEFT, State.IMPOSSIBLE)


class Choice(StrEnum):
    """Which boot loaders are wanted; one that is named also takes the place of another system's."""

    AUTO = "auto"
    MBR = "mbr"
    EFI = "efi"
    BOTH = "both"
    NONE = "none"

    def wants(self, name: Name) -> bool:
        return self in (Choice.AUTO, Choice.BOTH) or self is (Choice.MBR if name is Name.BIOS else Choice.EFI)


@dataclass(frozen=True)
class Part:
    name: Name
    state: State
    why: str = ""


@dataclass(frozen=True)
class LiveFacts:
    """`differs`: the source is not what it was when it was brought; None where nobody can tell."""

    stands: bool
    whole: bool = False
    differs: bool | None = None


@dataclass(frozen=True)
class Loader:
    """`place`: where it stands or, where there is none, why; `another`: whose stands there, if not ours."""

    place: str
    possible: bool
    empty: bool = False
    current: bool = False
    another: str = ""


def plan(
    live: LiveFacts, menu: str | None, wanted: str | None, loaders: dict[Name, Loader], choice: Choice
) -> Sequence[Part]:
    """`menu` and `wanted`: the menu that stands and the one that should, None where there is none."""
    return (
        _live(live),
        _menu(menu, wanted),
        *(_loader(name, loader, choice) for name, loader in loaders.items()),
    )


def _live(live: LiveFacts) -> Part:
    if not live.stands:
        return Part(Name.LIVE, State.MISSING)
    if not live.whole:
        return Part(Name.LIVE, State.OLD, words("a file of it is cut or gone"))
    if live.differs:
        return Part(Name.LIVE, State.OLD, words("its source has changed"))
    return Part(Name.LIVE, State.CURRENT, words("its source is not there") if live.differs is None else "")


def _menu(menu: str | None, wanted: str | None) -> Part:
    if menu is None:
        return Part(Name.MENU, State.MISSING)
    if menu == wanted:
        return Part(Name.MENU, State.CURRENT)
    return Part(Name.MENU, State.OLD, words("images or the live system have changed"))


def _loader(name: Name, loader: Loader, choice: Choice) -> Part:
    if not choice.wants(name):
        return Part(name, State.LEFT, f"--boot-loader {choice}")
    if not loader.possible:
        return Part(name, State.IMPOSSIBLE, loader.place)
    if loader.another:
        return Part(
            name, State.ANOTHER, words("{place} starts {whose}", place=loader.place, whose=loader.another)
        )
    if loader.empty:
        return Part(name, State.MISSING, loader.place)
    return Part(name, State.CURRENT if loader.current else State.OLD, loader.place)


def boots(parts: Sequence[Part], choice: Choice) -> bool:
    """Whether all is there and something starts it."""
    started = choice is Choice.NONE or any(
        part.state is State.CURRENT for part in parts if part.name in (Name.BIOS, Name.UEFI)
    )
    return started and all(part.state in DONE for part in parts)
