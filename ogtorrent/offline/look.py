"""Everything that the plan is decided from, read from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ogtorrent.errors import MissingProgram, NoCache, NoLiveSystem
from ogtorrent.layout import offline_home
from ogtorrent.offline import disk, grub, mbr, record
from ogtorrent.offline.disk import Disk
from ogtorrent.offline.esp import BEFORE, LOADER, Esp
from ogtorrent.offline.live import Live, Source, is_whole, read, source
from ogtorrent.offline.menu import menu
from ogtorrent.offline.plan import Choice, LiveFacts, Loader, Name, Part, plan
from ogtorrent.offline.record import Asked
from ogtorrent.words import CATALOGUES, Words, words


@dataclass(frozen=True)
class Look:
    """`source` is None where it is not there now; `images` are called so that a menu can have them."""

    cache: Path
    home: Path
    disk: Disk
    asked: Asked
    images: Sequence[str]
    source: Source | None
    esp: Esp | None
    cores: dict[Name, bytes] = field(default_factory=dict)

    @property
    def live(self) -> Live | None:
        """The one that the menu leads to."""
        return read(self.home, self.asked.live)

    def menu(self) -> str | None:
        """As it should be. Raises NotWritable, MissingProgram."""
        live = self.live
        if live is None:
            return None
        kept = self.home / mbr.BEFORE
        chained = kept.exists() and mbr.starts(kept.read_bytes()) in (mbr.Starts.WINDOWS, mbr.Starts.ANOTHER)
        before = self.esp is not None and self.esp.read(BEFORE) is not None
        uuid = self.disk.esp.block.uuid if before and self.disk.esp is not None else ""
        said = Words(self.asked.language, CATALOGUES)
        home = self.disk.inside / self.home.relative_to(self.cache)
        return menu(
            live, home, self.disk.cache.block.uuid, self.images, self.asked.append, chained, uuid, said
        )

    def parts(self, content: bool = False) -> Sequence[Part]:
        """`content`: whether the live system is read. Raises NotWritable, MissingProgram."""
        live = self.live
        facts = (
            LiveFacts(False)
            if live is None
            else LiveFacts(True, is_whole(self.home, live, content), self._differs(live))
        )
        return plan(facts, self.standing_menu(), self.menu(), self.loaders(), self.asked.choice)

    def standing_menu(self) -> str | None:
        place = self.home / grub.MENU
        return place.read_bytes().decode(errors="replace") if place.is_file() else None

    def loaders(self) -> dict[Name, Loader]:
        """Raises NotWritable, MissingProgram."""
        return {Name.BIOS: self._bios(), Name.UEFI: self._uefi()}

    def _differs(self, live: Live) -> bool | None:
        if live.where != self.asked.where:
            return True
        return None if self.source is None else self.source.stamp != live.stamp

    def _bios(self) -> Loader:
        room, core = self.disk.embedding, self.cores.get(Name.BIOS, b"")
        if self.disk.table == "gpt" and not room:
            return Loader(words("a disk with GPT needs a BIOS boot partition (1 MiB, type ef02)"), False)
        if room < len(core):
            return Loader(words("no room before the first partition"), False)
        place, code = str(self.disk.device), mbr.boot_record(self.disk)
        what, standing_core = mbr.starts(code), self.home / mbr.CORE
        if what is mbr.Starts.NOTHING:
            return Loader(place, True, empty=True)
        ours = bool(self.asked.digest) and mbr.digest(self.disk, self.asked.core) == self.asked.digest
        if not ours and not (self.asked.begun and what is mbr.Starts.GRUB):
            return Loader(place, True, another=words(what))
        same = standing_core.exists() and standing_core.read_bytes() == core
        return Loader(place, True, current=ours and not self.asked.begun and same)

    def _uefi(self) -> Loader:
        if self.esp is None:
            return Loader(words("the disk has no EFI system partition"), False)
        place, stands = str(self.esp.device), self.esp.read(LOADER)
        if stands is None:
            return Loader(place, True, empty=True)
        if grub.MARK.encode() not in stands:
            return Loader(place, True, another=words("another system"))
        uuids = (one.block.uuid for one in self.disk.partitions if one != self.disk.cache)
        if any(uuid and grub.finding(uuid).encode() in stands for uuid in uuids):
            return Loader(place, True, another=words("another cache"))
        return Loader(place, True, current=stands == self.cores.get(Name.UEFI))


def look(cache: Path, images: Sequence[str], asked: Asked | None = None) -> Look:
    """`asked` is what was asked for the last time, where nothing else is.

    Raises NoCache, NotWritable, MissingProgram.
    """
    cache = cache.resolve()
    home = offline_home(cache)
    asked = record.read(home) if asked is None else asked
    there = disk.of(cache)
    if home.resolve() != home:
        raise NoCache(
            words("{home} is a link", home=home), words("What boots has to be in the cache: take it away.")
        )
    if asked.choice is not Choice.NONE:
        disk.check_readable(there.cache)
    uuid, inside = there.cache.block.uuid, there.inside / home.relative_to(cache)
    cores = {}
    for name, target, possible in (
        (Name.BIOS, grub.BIOS, bool(there.embedding)),
        (Name.UEFI, grub.UEFI, there.esp is not None),
    ):
        if possible and asked.choice.wants(name):
            cores[name] = grub.image(target, uuid, inside)
    try:
        found = source(asked.where)
    except (NoLiveSystem, MissingProgram):
        found = None
    esp = Esp(there.esp) if there.esp is not None else None
    return Look(cache, home, there, asked, images, found, esp, cores)
