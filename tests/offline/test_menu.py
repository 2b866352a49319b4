"""GRUB reads the menu as it was meant, whatever images are called."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ogtorrent.errors import BadName
from ogtorrent.layout import ImagePath
from ogtorrent.offline.live import Kind, Live
from ogtorrent.offline.menu import menu
from ogtorrent.words import words

UUID = "f315a2b8-fb08-4652-a62d-a9a6cf81c784"
HOME = PurePosixPath("/.ogtorrent/offline")


def a_menu(
    *images: str, kind: Kind = Kind.LIVE_BOOT, append: str = "", bios: bool = False, efi: str = ""
) -> str:
    live = Live("live-1", kind, "vmlinuz", "initrd.img", "/srv/live", {}, {})
    return menu(live, HOME, UUID, images, append, bios, efi, words)


def is_image(name: str) -> bool:
    try:
        return str(ImagePath.parse(name)) == name
    except BadName:
        return False


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(alphabet="a'\"$;{}()\\ #&|ñ€/.-=%", min_size=1, max_size=20).filter(is_image), max_size=8
    )
)
def test_any_name_of_an_image_is_one_entry_and_one_argument(tmp_path: Path, images: list[str]) -> None:
    text = a_menu(*images, append="console=tty0 \"a=b c\" '$x;'")
    (tmp_path / "grub.cfg").write_text(text)
    subprocess.run(["grub-script-check", tmp_path / "grub.cfg"], check=True)
    titles = [line for line in text.splitlines() if line.startswith("menuentry ")]
    assert len(titles) == 1 + len(images)
    asked = re.findall(r" ogtorrent\.image=(\S+)$", text, re.MULTILINE)
    assert [unquote(one) for one in asked] == images
    assert text.count("'console=tty0' 'a=b c' '$x;'") == len(titles)


def test_the_initrd_is_told_where_its_root_is() -> None:
    debian, opengnsys = a_menu(), a_menu(kind=Kind.OGLIVE)
    assert (
        f"boot=live live-media=/dev/disk/by-uuid/{UUID} live-media-path=/.ogtorrent/offline/live-1" in debian
    )
    assert "boot=oginit" in opengnsys and "ogprotocol=local ogstatus=offline" in opengnsys
    assert "oglivedir=.ogtorrent/offline/live-1" in opengnsys  # from the top of the partition CACHE


@pytest.mark.parametrize(
    ("bios", "efi"), [(False, ""), (True, ""), (False, "9C03-EAA9"), (True, "9C03-EAA9")]
)
def test_what_was_started_before_comes_first_and_only_where_it_can_start(
    tmp_path: Path, bios: bool, efi: str
) -> None:
    text = a_menu("w.img", bios=bios, efi=efi)
    (tmp_path / "grub.cfg").write_text(text)
    subprocess.run(["grub-script-check", tmp_path / "grub.cfg"], check=True)
    assert ("mbr.before" in text) is bios and ("BEFORE.EFI" in text) is bool(efi)
    if bios or efi:
        assert text.index("started before") < text.index("Rescue system") < text.index("w.img")
