"""Make a cache bootable. What could be booted before can be booted at every instant:

the live system in a new folder, then the menu in one step, then the boot loaders, which lead to a menu that
is there; at the end the live system before.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ogtorrent.errors import (
    AnothersBootLoader,
    NoBootPlace,
    NoLiveSystem,
    NotWritable,
    OfflineLocked,
)
from ogtorrent.files import locked, remove, write_whole
from ogtorrent.layout import offline_home
from ogtorrent.mounts.cache import LABEL
from ogtorrent.offline import esp, grub, mbr, record
from ogtorrent.offline.live import MAKING, Kind, bring, remove_others, source
from ogtorrent.offline.look import Look, look
from ogtorrent.offline.plan import DONE, Choice, Name, State
from ogtorrent.offline.programs import done, program
from ogtorrent.words import words


def make(
    cache: Path,
    images: Sequence[str],
    where: str | None,
    append: str | None,
    choice: Choice | None,
    tell: Callable[[str], None],
) -> None:
    """What is None is as it was asked for the last time.

    Raises NoCache, NoLiveSystem, NoBootPlace, AnothersBootLoader, OfflineLocked, CacheFull, NotWritable,
    MissingProgram; but for the last two, nothing was written then.
    """
    home = offline_home(cache)
    with _alone(cache, home):
        remove(home / MAKING)
        before = record.read(home)
        asked = replace(
            before,
            where=before.where if where is None else where,
            append=before.append if append is None else append,
            choice=before.choice if choice is None else choice,
            language=words.language,
        )
        there = look(cache, images, asked)
        states = {part.name: part.state for part in there.parts(content=True)}
        _check(there, states)
        if states[Name.LIVE] not in DONE:
            there = _bring(there, tell)
        _keep(there, states)
        record.write(home, there.asked)
        _show(there)
        _settle(there)
        _start(there, states, tell)
        remove_others(home, there.live)
        tell(
            words.plural(
                "{cache} boots, with 1 image in its menu",
                "{cache} boots, with {count} images in its menu",
                len(images),
                cache=cache,
            )
        )


@contextlib.contextmanager
def _alone(cache: Path, home: Path) -> Iterator[None]:
    try:
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise NotWritable.of(home, error) from error
    with locked(home, wait=False) as alone:
        if not alone:
            raise OfflineLocked(cache)
        yield


def _check(there: Look, states: dict[Name, State]) -> None:
    """Before anything is written. Raises NoBootPlace, AnothersBootLoader, NoLiveSystem, NoCache."""
    choice, loaders = there.asked.choice, there.loaders()
    refused = [name for name in loaders if states[name] is State.IMPOSSIBLE]
    if refused and (choice is not Choice.AUTO or len(refused) == len(loaders)):
        raise NoBootPlace(
            there.disk.device,
            "; ".join(loaders[name].place for name in refused),
            words("Make room for one, or leave boot loaders alone with --boot-loader none."),
        )
    if choice is Choice.AUTO:
        for name, own, other in ((Name.BIOS, Choice.MBR, Choice.EFI), (Name.UEFI, Choice.EFI, Choice.MBR)):
            if states[name] is State.ANOTHER:
                beside = states[Name.UEFI if name is Name.BIOS else Name.BIOS]
                replacing = own if beside is State.IMPOSSIBLE else Choice.BOTH
                leaving = Choice.NONE if beside in (State.IMPOSSIBLE, State.ANOTHER) else other
                raise AnothersBootLoader(loaders[name].place, loaders[name].another, replacing, leaving)
    if there.source is None:
        if states[Name.LIVE] not in DONE:
            source(there.asked.where)  # says why there is none
    elif there.source.kind is Kind.OGLIVE and there.disk.cache.block.label != LABEL:
        raise NoLiveSystem(
            there.asked.where,
            words(
                "OpenGnsys's initrd finds the cache by its label, {label}, and {device} has not that one",
                label=LABEL,
                device=there.disk.cache.device,
            ),
        )


def _bring(there: Look, tell: Callable[[str], None]) -> Look:
    assert there.source is not None
    free = shutil.disk_usage(there.cache).free
    live = bring(there.source, there.home, there.cache, free, tell)
    tell(words("live system: {bytes}, {kind}", bytes=words.bytes(live.size), kind=str(live.kind)))
    return replace(there, asked=replace(there.asked, live=live.folder))


def _keep(there: Look, states: dict[Name, State]) -> None:
    """What another system's boot loader was."""
    if states[Name.BIOS] is State.ANOTHER:
        mbr.keep_before(there.disk, there.home)
    if states[Name.UEFI] is State.ANOTHER and there.esp is not None:
        stands = there.esp.read(esp.LOADER)
        assert stands is not None
        if grub.MARK.encode() not in stands:  # another cache's took the place of what is kept
            there.esp.write(esp.BEFORE, stands)


def _show(there: Look) -> None:
    wanted = there.menu()
    if wanted is not None and there.standing_menu() != wanted:
        write_whole(there.home / grub.MENU, wanted.encode())


def _settle(there: Look) -> None:
    """GRUB does not read a journal: what is durable for the kernel may not be there yet for it, nor be so
    when the power fails now. Freezing has the file system write all to its place. Raises NotWritable.
    """
    if there.asked.choice is Choice.NONE:
        return
    # Written out first, so that the frozen instant is short; in a session of its own, so that who kills us
    # does not leave the cache frozen.
    both = 'sync --file-system "$1" && fsfreeze --freeze "$1" && fsfreeze --unfreeze "$1"'
    program("fsfreeze")
    done(there.cache, "sh", "-c", both, "sh", there.cache, alone=True)


def _start(there: Look, states: dict[Name, State], tell: Callable[[str], None]) -> None:
    if states[Name.BIOS] not in DONE:
        core = there.cores[Name.BIOS]
        record.write(there.home, replace(there.asked, begun=True))
        mbr.install(there.disk, there.home, core)
        told = mbr.digest(there.disk, len(core))
        record.write(there.home, replace(there.asked, digest=told, core=len(core), begun=False))
        tell(words("GRUB for BIOS: {place}", place=there.disk.device))
    if states[Name.UEFI] not in DONE and there.esp is not None:
        there.esp.write(esp.LOADER, there.cores[Name.UEFI])
        tell(words("GRUB for UEFI: {place}", place=there.esp.device))


def show(cache: Path, images: Sequence[str]) -> None:
    """The menu alone: images have come or gone. Raises OgtorrentError."""
    home = offline_home(cache)
    with _alone(cache, home):
        asked = record.read(home)
        # What boots is not looked at, so that this takes an instant.
        _show(look(cache, images, replace(asked, choice=Choice.NONE)))
