"""When an image has settled; the time is passed in."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from machines import image

from ogtorrent.errors import UnfitImage
from ogtorrent.layout import ImagePath, recognise
from ogtorrent.mounts.table import parse
from ogtorrent.repository.publish import Contents
from ogtorrent.repository.settling import QUIET, Busy, Sight, has_settled, look, wait
from ogtorrent.repository.writers import is_remote
from ogtorrent.swarm.metainfo import File

PLACE = Path("/srv/images/windows.img")
CALM = Sight(Contents((File(("windows.img",), 1000),), (PLACE,), (1,)), None)
GROWN = replace(CALM, contents=Contents((File(("windows.img",), 2000),), (PLACE,), (2,)))
WRITTEN = replace(CALM, busy=Busy.WRITTEN)
LOCKED = replace(CALM, busy=Busy.LOCKED)


def settled_at(sights: list[tuple[float, Sight]]) -> float | None:
    """The first moment at which it counts as settled, when it is seen like this."""
    waiting = None
    for now, sight in sights:
        waiting = wait(waiting, sight, now)
        if has_settled(waiting, now):
            return now
    return None


def test_an_image_settles_when_it_has_been_quiet_long_enough() -> None:
    assert settled_at([(100.0, CALM), (100.0 + QUIET * 0.9, CALM), (100.0 + QUIET, CALM)]) == 100.0 + QUIET


def test_one_look_never_settles_an_image() -> None:
    assert settled_at([(100.0, CALM)]) is None


@pytest.mark.parametrize("disturbance", [GROWN, WRITTEN, LOCKED])
def test_a_disturbance_begins_the_wait_anew(disturbance: Sight) -> None:
    disturbed = [
        (0.0, CALM),
        (0.9 * QUIET, disturbance),
        (1.2 * QUIET, CALM),
        (2.1 * QUIET, CALM),
        (2.2 * QUIET, CALM),
    ]
    assert settled_at(disturbed) == 2.2 * QUIET


@pytest.mark.parametrize("busy", [WRITTEN, LOCKED])
def test_an_image_that_is_busy_never_settles(busy: Sight) -> None:
    assert settled_at([(float(second), busy) for second in range(1000)]) is None


def test_a_look_sees_the_lock_the_writer_and_peace(tmp_path: Path) -> None:
    root, windows = recognise(tmp_path), ImagePath.parse("windows.img")
    place = image(tmp_path / "windows.img", 1000)
    assert look(root, windows).busy is None
    with place.open("ab"):
        assert look(root, windows).busy is Busy.WRITTEN
    (tmp_path / "windows.img.lock").touch()
    assert look(root, windows).busy is Busy.LOCKED
    assert look(root, windows).contents.size == 1000


def test_a_look_at_what_is_gone_or_unfit_says_so(tmp_path: Path) -> None:
    root = recognise(tmp_path)
    with pytest.raises(FileNotFoundError):
        look(root, ImagePath.parse("missing.img"))
    (tmp_path / "empty.img").touch()
    with pytest.raises(UnfitImage):
        look(root, ImagePath.parse("empty.img"))


MOUNTS = """\
29 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
63 29 0:52 / /mnt/campus\\040nas rw,relatime shared:33 master:2 - nfs4 10.0.0.9:/srv rw,vers=4.2
64 29 0:53 / /mnt/smb rw,relatime - cifs //10.0.0.9/images rw,vers=3.1.1
"""


@pytest.mark.parametrize(
    ("major", "minor", "remote"), [(8, 1, False), (0, 52, True), (0, 53, True), (0, 99, False)]
)
def test_a_lease_that_a_network_file_system_refuses_tells_of_no_writer(
    major: int, minor: int, remote: bool
) -> None:
    assert is_remote(os.makedev(major, minor), parse(MOUNTS)) is remote
