"""What a power cut leaves behind, and what the next run makes of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from machines import Seat, Server, image, published

from ogtorrent.cache.inventory import cached
from ogtorrent.fetch.partial import prepare
from ogtorrent.layout import ImagePath, Root, recognise
from ogtorrent.repository.publish import publish
from ogtorrent.swarm.metainfo import Metainfo

SIZE = 300_000
Seats = Callable[..., Seat]


def metainfo_of(place: Path) -> Metainfo:
    root = recognise(place.parent)
    return publish(root, ImagePath.parse(place.name), (), lambda done: None)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "pc" / "images").mkdir(parents=True)
    return recognise(tmp_path / "pc" / "images")


@pytest.fixture
def windows(tmp_path: Path) -> Metainfo:
    return metainfo_of(image(tmp_path / "server" / "windows.img", SIZE))


@pytest.fixture
def clone(tmp_path: Path) -> Metainfo:
    image(tmp_path / "server" / "clone.img" / "sda1", SIZE)
    image(tmp_path / "server" / "clone.img" / "parts" / "sda2", SIZE)
    return metainfo_of(tmp_path / "server" / "clone.img")


def test_a_download_begins_in_a_hidden_place_whose_folders_are_made(root: Root, windows: Metainfo) -> None:
    shutil.rmtree(root.path)
    partial = prepare(root, windows)
    assert partial == root.path / ".windows.img.part"
    assert partial.parent.is_dir() and not partial.exists()


def test_what_has_come_of_a_download_is_kept(root: Root, windows: Metainfo) -> None:
    image(root.partial(windows.image), SIZE // 2)
    before = root.partial(windows.image).read_bytes()
    assert prepare(root, windows).read_bytes() == before


def test_a_partial_of_a_larger_version_is_cut_to_size(root: Root, windows: Metainfo) -> None:
    image(root.partial(windows.image), 2 * SIZE)
    assert prepare(root, windows).stat().st_size == SIZE


@pytest.mark.parametrize("is_link", [True, False])
def test_what_stands_in_the_way_of_a_download_is_removed_and_not_followed(
    root: Root, windows: Metainfo, tmp_path: Path, is_link: bool
) -> None:
    outside = image(tmp_path / "outside", 2 * SIZE)
    if is_link:
        root.partial(windows.image).symlink_to(outside)
    else:
        image(root.partial(windows.image) / "old", 10)
    assert not os.path.lexists(prepare(root, windows))
    assert outside.stat().st_size == 2 * SIZE


def test_a_directory_download_is_cleared_of_what_is_not_of_this_version(
    root: Root, clone: Metainfo, tmp_path: Path
) -> None:
    partial, outside = root.partial(clone.image), image(tmp_path / "outside" / "sda2", 2 * SIZE)
    image(partial / "sda1", 10)
    image(partial / "old" / "sda9", 10)
    (partial / "parts").symlink_to(outside.parent)
    prepare(root, clone)
    assert sorted(str(path.relative_to(partial)) for path in partial.rglob("*") if not path.is_dir()) == [
        "sda1"
    ]
    (partial / "parts").mkdir()
    (partial / "parts" / "sda2").symlink_to(outside)  # under a name that is wanted
    prepare(root, clone)
    assert not os.path.lexists(partial / "parts" / "sda2")
    assert outside.stat().st_size == 2 * SIZE


def test_a_place_that_cannot_be_written_is_told_as_such(root: Root, windows: Metainfo) -> None:
    shutil.rmtree(root.path)
    root.path.touch()
    with pytest.raises(OSError):
        prepare(root, windows)


# The same states, met by a real run


@pytest.fixture
def server(serve: Callable[..., Server], tmp_path: Path) -> Server:
    images = tmp_path / "server" / "images"
    published(images / "windows.img", images, SIZE)
    return serve(images)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        # Neither the tracker's own state nor how the server sends.
        if not path.name.startswith(".tracker") and path.suffix != ".mcast"
        if path.is_file()
    }


@pytest.mark.room
@pytest.mark.parametrize("state", ["linked", "linked and moved", "moved"])
def test_a_landing_that_was_cut_is_finished_without_a_download(
    server: Server, seat: Seats, state: str
) -> None:
    pc = seat()
    images = pc.cache / "images"
    images.mkdir()
    final, partial, alias = (
        images / name for name in ("windows.img", ".windows.img.part", ".windows.img.part.landing")
    )
    shutil.copy2(server.root / "windows.img", partial)
    if "linked" in state:
        os.link(partial, alias)
    if "moved" in state:
        partial.rename(final)
    done = pc.update(server.address, "windows.img").done
    assert done.fetched == 0
    assert digests(images) == digests(server.root)


def test_what_a_finished_run_leaves_is_whole_by_the_inventory(server: Server, seat: Seats) -> None:
    pc = seat()
    pc.update(server.address, "windows.img").done  # noqa: B018
    found = cached(recognise(pc.cache / "images"), ImagePath.parse("windows.img"))
    assert (found.stands, found.described, found.partial) == (True, True, 0)
