"""The kernel's table of what is mounted, and what a shell is told of it."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ogtorrent.layout import Here, Layout, Mirror, Root
from ogtorrent.mounts.environment import variables
from ogtorrent.mounts.table import Mounted, parse, seen_at

TABLE = """\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
30 22 8:33 / /mnt/USB-a\\040\\134b rw,nosuid shared:5 master:2 - vfat /dev/sdc1 ro,fmask=0022
31 22 0:52 / /opt/opengnsys/images/10.1.0.1 ro - nfs4 10.1.0.1:/opt/opengnsys/images rw,vers=4.2
32 22 8:2 /srv /mnt/bound rw - ext4 /dev/sda2 rw
33 31 0:53 / /opt/opengnsys/images/10.1.0.1 rw - tmpfs  rw
"""


def test_a_line_tells_what_is_mounted_where() -> None:
    root, usb, nfs, bound, hides = parse(TABLE)
    assert (root.at, root.source, root.kind, root.read_only) == (Path("/"), "/dev/sda2", "ext4", False)
    assert (usb.at, usb.device, usb.read_only) == (Path("/mnt/USB-a \\b"), os.makedev(8, 33), True)
    assert (nfs.source, nfs.read_only) == ("10.1.0.1:/opt/opengnsys/images", True)
    assert (bound.root, bound.whole, nfs.whole) == ("/srv", False, True)
    assert (hides.source, hides.kind) == ("", "tmpfs")


def test_the_last_that_was_mounted_hides_what_was_there() -> None:
    seen = seen_at(Path("/opt/opengnsys/images/10.1.0.1"), parse(TABLE))
    assert seen is not None and seen.kind == "tmpfs"
    assert seen_at(Path("/opt/opengnsys"), parse(TABLE)) is None


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_back_as_it_is(name: str) -> None:
    """The kernel's way of writing it (seq_path)."""
    at = Path("/mnt", name.replace("/", "-"))
    written = str(at)
    for letter in "\\ \t\n#":
        written = written.replace(letter, f"\\{ord(letter):03o}")
    assert [one.at for one in parse(f"1 2 8:1 / {written} rw - ext4 /dev/sda1 rw\n")] == [at]


def _here(path: str, layout: Layout, server: str = "") -> Here:
    return Here(Root(Path(path), Mirror(layout, "images")), None, frozenset({"10.1.1.5"}), server)


def _mounted(*points: str) -> tuple[Mounted, ...]:
    return tuple(Mounted(Path(point), "x", "nfs4", 1, "/", True) for point in points)


MOUNTED = _mounted(
    "/",
    "/mnt/USB-a",
    "/opt/opengnsys/images/10.1.0.9",
    "/opt/opengnsys/images/10.1.0.1",
    "/opt/opengnsys/images/10.1.0.8",
    "/mnt/USB-b c",
    "/mnt/10.1.1.5",
    "/mnt/sda3",
)


def test_a_shell_is_told_of_the_repository_by_its_address() -> None:
    told = variables(_here("/opt/opengnsys/images", Layout.LEGACY, "10.1.0.1"), MOUNTED)
    assert {name: str(path) for name, path in told.items() if path is not None} == {
        "REPO": "/opt/opengnsys/images/10.1.0.1",
        "IPSERVIDOR_ALT": "/opt/opengnsys/images/10.1.0.8",
        "USB": "/mnt/USB-b c",
    }
    assert list(told) == ["REPO", "CACHE", "IPSERVIDOR_ALT", "DVD", "USB"]


def test_without_its_address_the_first_that_was_mounted_is_the_repository() -> None:
    told = variables(_here("/opt/opengnsys/images", Layout.LEGACY), MOUNTED)
    assert told["REPO"] == Path("/opt/opengnsys/images/10.1.0.9")
    assert told["IPSERVIDOR_ALT"] == Path("/opt/opengnsys/images/10.1.0.8")


def test_of_the_current_layout_the_repository_has_its_own_place() -> None:
    here = _here("/opt/opengnsys/repo/images", Layout.CURRENT)
    assert variables(here, MOUNTED)["REPO"] is None
    both = (*MOUNTED, *_mounted("/opt/opengnsys/repo"))
    assert variables(here, both)["REPO"] == Path("/opt/opengnsys/repo/images")
    assert variables(here, both)["IPSERVIDOR_ALT"] == Path("/opt/opengnsys/images/10.1.0.8")
